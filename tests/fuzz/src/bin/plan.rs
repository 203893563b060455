//! The reader of plan files, and whatever it lets through.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remedis_plan::Plan;

fuzz_target!(|data: &[u8]| {
    drop(Plan::from_bytes(data));
    if let Ok(plan) = Plan::from_bytes(&remedis_fuzz::plan_file(data)) {
        remedis_fuzz::run(&plan);
    }
});
