package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"

	"github.com/zitadel/oidc/v3/pkg/client"
	"github.com/zitadel/oidc/v3/pkg/client/profile"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

var apiScopes = []string{"openid", "urn:zitadel:iam:org:project:id:zitadel:aud"}

// tokensOf returns the tokens of a user, who logs in by a token, a key or a secret. A name that only a token has is none
// of a user, and is the token.
func tokensOf(ctx context.Context, login, issuer, name string) (oauth2.TokenSource, error) {
	file := filepath.Join(os.Getenv("KEYS"), name+".json")
	if _, err := os.Stat(file); err != nil || login == "token" {
		return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: name, TokenType: "Bearer"}), nil
	}
	if login == "key" {
		return profile.NewJWTProfileTokenSourceFromKeyFile(ctx, issuer, file, apiScopes)
	}
	discovery, err := client.Discover(ctx, issuer, http.DefaultClient)
	if err != nil {
		return nil, err
	}
	config := clientcredentials.Config{
		ClientID: name, ClientSecret: "secret-" + name, TokenURL: discovery.TokenEndpoint, Scopes: apiScopes,
	}
	return config.TokenSource(ctx), nil
}

// perCall gives each call a token, as zitadel-go's client does: credentials of gRPC.
type perCall struct{ oauth2.TokenSource }

func (p perCall) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := p.Token()
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": token.Type() + " " + token.AccessToken}, nil
}

func (perCall) RequireTransportSecurity() bool { return false }

// intercept gives each call a token, as zitadel-go's older client does, which Terraform's provider uses: an interceptor.
func intercept(tokens oauth2.TokenSource) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, request, reply any, connection *grpc.ClientConn,
		invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		token, err := tokens.Token()
		if err != nil {
			return err
		}
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", token.TokenType+" "+token.AccessToken)
		return invoke(ctx, method, request, reply, connection, options...)
	}
}

// dialZitadel connects a caller, who may be nobody, as zitadel-go does without TLS.
func dialZitadel(address, login, caller string, older bool) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	if caller != "" {
		tokens, err := tokensOf(context.Background(), login, "http://"+address, caller)
		if err != nil {
			return nil, err
		}
		tokens = oauth2.ReuseTokenSource(nil, tokens)
		if older {
			options = append(options, grpc.WithUnaryInterceptor(intercept(tokens)))
		} else {
			options = append(options, grpc.WithPerRPCCredentials(perCall{tokens}))
		}
	}
	return grpc.NewClient(address, options...)
}
