//! The small form of the link campaign.

use remedis_campaign::{Scale, link};

#[test]
fn every_promise_of_the_link_is_kept() {
    let outcome = link::run(Scale::Small, 1).unwrap();
    assert_eq!(outcome.broken, Vec::<String>::new());
    assert_eq!(outcome.tables.len(), 2);
}

#[test]
fn a_seed_decides_whatever_the_threads_do() {
    let printed = || link::run(Scale::Small, 7).unwrap().tables.iter().map(ToString::to_string).collect::<String>();
    assert_eq!(printed(), printed());
}
