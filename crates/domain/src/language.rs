//! The languages in which errors can be told.

macro_rules! languages {
    ($($variant:ident $tag:literal)*) => {
        /// A language of error texts.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum Language {
            $(#[doc = concat!("`", $tag, "`")] $variant,)*
            /// `en`, and whatever is not known.
            #[default]
            En,
        }

        impl Language {
            /// Every language.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)* Self::En];

            /// The language subtag, in lower case.
            pub const fn tag(self) -> &'static str {
                match self { $(Self::$variant => $tag,)* Self::En => "en" }
            }
        }
    };
}

languages! {
    Ar "ar" Bg "bg" Cs "cs" De "de" Es "es" Fr "fr" Hu "hu" Id "id" It "it" Ja "ja" Ko "ko" Mk "mk" Nl "nl"
    Pl "pl" Pt "pt" Ro "ro" Ru "ru" Sv "sv" Tr "tr" Uk "uk" Zh "zh"
}

impl Language {
    /// The language that a tag such as `de` or `de-CH` asks for, if there is one: the lookup of RFC 4647, section 3.4.
    pub fn lookup(tag: &str) -> Option<Self> {
        let mut subtags = tag.split('-');
        let primary = subtags.next()?;
        if !subtags.all(|subtag| {
            (1..=8).contains(&subtag.len()) && subtag.bytes().all(|b| b.is_ascii_alphanumeric())
        }) {
            return None;
        }
        Self::ALL.iter().copied().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// The language that an `Accept-Language` header asks for.
    ///
    /// The range of the highest quality that is known wins, the earlier of equals. A header whose *first* range is
    /// malformed or unknown means English, whatever follows (contract 0).
    pub fn negotiate(accept_language: &str) -> Self {
        let mut best: Option<(u16, Self)> = None;
        for (index, range) in accept_language.split(',').enumerate() {
            match parse_range(range) {
                Some((quality, language)) if quality > 0 && best.is_none_or(|(other, _)| quality > other) => {
                    best = Some((quality, language));
                }
                None if index == 0 => return Self::En,
                _ => {}
            }
        }
        best.map_or(Self::En, |(_, language)| language)
    }
}

/// `de-CH;q=0.7` → quality in thousandths, and the language.
fn parse_range(range: &str) -> Option<(u16, Language)> {
    let mut parts = range.split(';').map(str::trim);
    let language = Language::lookup(parts.next()?)?;
    let quality = match parts.next() {
        None => 1_000,
        Some(parameter) => {
            parse_quality(parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="))?)?
        }
    };
    if parts.next().is_some() { None } else { Some((quality, language)) }
}

/// `0`, `1`, `0.5`, `1.000` → thousandths (RFC 9110, section 12.4.2).
fn parse_quality(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Language::*, *};

    #[test]
    fn negotiation() {
        for (header, want) in [
            ("de", De),
            ("DE", De),
            ("de-CH", De),
            ("zh-Hant-TW", Zh),
            ("de-CH,de;q=0.9,en;q=0.5", De),
            ("en;q=0.5, fr;q=0.9", Fr),
            ("fr,it", Fr),
            ("de;q=0,it;q=0.1", It),
            // The second may be anything.
            ("it,xx", It),
            ("it;q=0.1,xx,;;,*", It),
            // The first decides for English.
            ("xx,de;q=0.5", En),
            ("*", En),
            ("*,de", En),
            ("", En),
            (",de", En),
            ("garbage;;q=", En),
            ("de;q=2", En),
            ("de;q=0.0001", En),
            ("de-waytoolongsubtag", En),
            ("de_CH", En),
        ] {
            assert_eq!(Language::negotiate(header), want, "{header:?}");
        }
    }

    #[test]
    fn twenty_two_languages_find_themselves() {
        assert_eq!(Language::ALL.len(), 22);
        for &language in Language::ALL {
            assert_eq!(Language::lookup(language.tag()), Some(language));
        }
    }
}
