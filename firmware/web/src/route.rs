//! What there is to ask for.

use hyper::Method;

/// One of the pages. Paths are compared as they come: nothing is decoded, joined or looked up on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Status,
    Results,
    Result(u64),
    Picture(u64),
    HeatMap(u64),
    Trend,
    Login,
    Logout,
    Metrics,
    Health,
    Style,
    Icon,
}

impl Route {
    /// The page at a path.
    pub(crate) fn of(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Status),
            "/results" => Some(Self::Results),
            "/trend" => Some(Self::Trend),
            "/login" => Some(Self::Login),
            "/logout" => Some(Self::Logout),
            "/metrics" => Some(Self::Metrics),
            "/health" => Some(Self::Health),
            "/style.css" => Some(Self::Style),
            "/icon.svg" => Some(Self::Icon),
            _ => Self::of_result(path.strip_prefix("/results/")?),
        }
    }

    fn of_result(rest: &str) -> Option<Self> {
        match rest.split_once('/') {
            None => number(rest).map(Self::Result),
            Some((digits, "picture.png")) => number(digits).map(Self::Picture),
            Some((digits, "heat-map.png")) => number(digits).map(Self::HeatMap),
            Some(_) => None,
        }
    }

    /// Whether it is a page that a person turns to; the rest is fetched by pages for themselves, or by programs.
    pub(crate) fn is_turned_to(self) -> bool {
        matches!(self, Self::Status | Self::Results | Self::Result(_) | Self::Trend)
    }

    /// How it may be asked for, as the header `Allow` says it.
    pub(crate) fn allowed(self) -> &'static str {
        match self {
            Self::Login => "GET, HEAD, POST",
            Self::Logout => "POST",
            _ => "GET, HEAD",
        }
    }

    pub(crate) fn allows(self, method: &Method) -> bool {
        self.allowed().split(", ").any(|allowed| allowed == method.as_str())
    }
}

/// A number in its one way of writing: two paths never lead to one page.
fn number(digits: &str) -> Option<u64> {
    digits.parse().ok().filter(|number: &u64| number.to_string() == digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_and_its_pictures_have_their_paths() {
        assert_eq!(Route::of("/results/17"), Some(Route::Result(17)));
        assert_eq!(Route::of("/results/0/picture.png"), Some(Route::Picture(0)));
        assert_eq!(Route::of("/results/17/heat-map.png"), Some(Route::HeatMap(17)));
    }

    #[test]
    fn no_other_path_leads_anywhere() {
        for path in [
            "",
            "//",
            "/../etc/passwd",
            "/results/",
            "/results/..",
            "/results/+1",
            "/results/01",
            "/results/1/",
            "/results/1/../picture.png",
            "/results/%31",
            "/results/18446744073709551616",
            "/Results",
            "/style.css/",
            "*",
        ] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }

    #[test]
    fn only_forms_are_posted() {
        assert!(Route::Login.allows(&Method::POST) && Route::Login.allows(&Method::HEAD));
        assert!(Route::Logout.allows(&Method::POST) && !Route::Logout.allows(&Method::GET));
        assert!(!Route::Status.allows(&Method::POST) && !Route::Metrics.allows(&Method::DELETE));
    }
}
