//! What a browser says of itself with a request.

use crate::Language;
use hyper::header::{ACCEPT_LANGUAGE, COOKIE, HeaderMap};

/// The cookie that remembers the language somebody picked.
pub(crate) const LANGUAGE_COOKIE: &str = "remedis_language";

/// The values of all cookies of a name: another program on the same host may have set one too.
pub(crate) fn cookies<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(found, _)| *found == name).map(|(_, value)| value)
}

/// The value of a field in a form or a query.
pub(crate) fn field(form: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(form).find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

/// What was picked on the page, then before, then in the settings; then what the browser would rather have; then English.
pub(crate) fn language(query: &str, headers: &HeaderMap, setting: Option<Language>) -> Language {
    picked(query)
        .or_else(|| cookies(headers, LANGUAGE_COOKIE).find_map(Language::from_code))
        .or(setting)
        .or_else(|| accepted(headers))
        .unwrap_or(Language::English)
}

/// The language that the query picks.
pub(crate) fn picked(query: &str) -> Option<Language> {
    field(query.as_bytes(), "lang").and_then(|code| Language::from_code(&code))
}

/// The first of the browser's languages that there is; browsers send them in the order of preference.
fn accepted(headers: &HeaderMap) -> Option<Language> {
    let line = headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?;
    line.split(',').filter_map(|entry| entry.split(';').next()).find_map(Language::from_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_nearest_wish_decides_the_language() {
        let german = headers(&[("accept-language", "fr-CH, de;q=0.9, en;q=0.8"), ("cookie", "a=b")]);
        assert_eq!(language("", &HeaderMap::new(), None), Language::English);
        assert_eq!(language("", &german, None), Language::German);
        assert_eq!(language("", &german, Some(Language::English)), Language::English);
        let remembered = headers(&[("cookie", "x=1; remedis_language=de")]);
        assert_eq!(language("", &remembered, Some(Language::English)), Language::German);
        assert_eq!(language("a=1&lang=en", &remembered, None), Language::English);
        assert_eq!(language("lang=xx", &remembered, None), Language::German);
    }

    #[test]
    fn every_cookie_of_a_name_is_found() {
        let headers = headers(&[("cookie", "s=1;t=2; s=3")]);
        assert_eq!(cookies(&headers, "s").collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(cookies(&headers, "S").count(), 0);
    }

    #[test]
    fn a_form_field_is_decoded() {
        assert_eq!(field(b"a=1&token=0a+0b%2D", "token").unwrap(), "0a 0b-");
        assert_eq!(field(b"\xff=%zz&token", "token").unwrap(), "");
        assert_eq!(field(b"", "token"), None);
    }
}
