//! Users that may not do anything any more: at the endpoints where they log in, and where others ask of them.

use serde_json::{Value, json};
use tokio::time::timeout;

use super::{API, Stage};
use crate::{logins::service_account_assertion, reloading::PATIENCE, throttle::send};

impl Stage {
    /// Waits until a gateway answers this, as logins may go by what was known half a second ago.
    async fn answers(&self, gateway: usize, path: &str, form: &str, name: &str, want: &Value) {
        let mut said = Value::Null;
        let waiting = async {
            while said[name] != *want {
                let answer = send(&self.gateways[gateway], path, Some(form)).await;
                said = serde_json::from_str(answer.text()).unwrap();
            }
        };
        if timeout(PATIENCE, waiting).await.is_err() {
            panic!("{path} {form}: {said}, not {want}");
        }
    }
}

#[tokio::test]
async fn whoever_may_do_nothing_gets_no_token_and_has_none() {
    for stage in Stage::all() {
        let gateway = stage.gateways.len() - 1;
        stage.user("robot");
        let secret = stage.done(&["secret", "create", "robot"])["client_secret"].as_str().unwrap().to_owned();
        let file = stage.done(&["key", "create", "robot"]);
        let by_secret =
            format!("grant_type=client_credentials&client_id=robot&client_secret={secret}&scope={API}");
        let by_key = || {
            let issuer = format!("http://{}", stage.gateways[gateway].address);
            let assertion = service_account_assertion(&file, &issuer);
            format!(
                "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion={assertion}&scope={API}"
            )
        };
        let token = "/oauth/v2/token";
        for change in ["deactivate", "lock"] {
            stage.answers(gateway, token, &by_secret, "token_type", &json!("Bearer")).await;
            stage.done(&["user", change, "robot"]);
            for form in [&by_secret, &by_key()] {
                stage
                    .answers(gateway, token, form, "error_description", &json!("Errors.User.NotActive"))
                    .await;
            }
            stage.done(&["user", "reactivate", "robot"]);
        }
        stage.answers(gateway, token, &by_secret, "token_type", &json!("Bearer")).await;
        let answer = send(&stage.gateways[gateway], token, Some(&by_key())).await;
        let got: Value = serde_json::from_str(answer.text()).unwrap();
        let personal = stage.done(&["token", "create", "robot"]);
        let tokens = [&got["access_token"], &personal["token"]].map(|token| token.as_str().unwrap());
        let asked = |token: &str| format!("client_id=c&client_secret=sesame&token={token}");
        for token in tokens {
            let (introspect, userinfo) = (asked(token), format!("access_token={token}"));
            stage.answers(gateway, "/oauth/v2/introspect", &introspect, "active", &json!(true)).await;
            stage.answers(gateway, "/oidc/v1/userinfo", &userinfo, "sub", &file["userId"]).await;
        }

        stage.done(&["org", "remove", "org-of-robot"]);
        stage.answers(gateway, token, &by_secret, "error", &json!("invalid_client")).await;
        stage.answers(gateway, token, &by_key(), "error", &json!("invalid_grant")).await;
        for token in tokens {
            let (introspect, userinfo) = (asked(token), format!("access_token={token}"));
            stage.answers(gateway, "/oauth/v2/introspect", &introspect, "active", &json!(false)).await;
            stage.answers(gateway, "/oidc/v1/userinfo", &userinfo, "error", &json!("access_denied")).await;
        }
        for arguments in [
            &["member", "add", "robot", "ORG_OWNER", "--org", "org-of-robot"][..],
            &["user", "add", "another", "--org", "org-of-robot"],
        ] {
            assert!(stage.refused(arguments).contains("was removed"), "{arguments:?}");
        }
    }
}
