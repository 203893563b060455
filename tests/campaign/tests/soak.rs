//! The small form of the soak campaign.

use remedis_campaign::{Scale, soak};
use remedis_programs::Yard;

#[test]
fn a_device_at_work_for_long_keeps_its_memory_and_shows_nothing_old_as_current() {
    if Yard::find().unwrap().is_none() {
        return;
    }
    let outcome = soak::run(Scale::Small, 1).unwrap();
    outcome.tables.iter().for_each(|table| println!("{table}"));
    assert_eq!(outcome.broken, Vec::<String>::new());
}
