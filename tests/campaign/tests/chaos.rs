//! The small form of the chaos campaign: 200 SIGKILLs, 200 torn writes, a full and a read-only disk.

use remedis_campaign::{Scale, chaos};
use remedis_programs::Yard;

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_answered_twice() {
    if Yard::find().unwrap().is_none() {
        return;
    }
    let outcome = chaos::run(Scale::Small, 1).unwrap();
    outcome.tables.iter().for_each(|table| println!("{table}"));
    assert_eq!(outcome.broken, Vec::<String>::new());
}
