//! The same seed gives the same numbers, whatever the number of threads.

use remedis_programs::{Tiny, program, say};

#[test]
fn one_thread_and_two_give_the_same_results() {
    let (Some(tiny), Some(train)) = (Tiny::find(), program("remedis-train")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let results = |threads: &str| {
        let out = folder.path().join(threads);
        let said = say(
            &train,
            &[
                &"run",
                &"--recipe",
                &"tiny",
                &"--seed",
                &"7",
                &"--threads",
                &threads,
                &"--data",
                &tiny.set("cells_a"),
                &"--shifted",
                &tiny.set("cells_b"),
                &"--natural",
                &tiny.set("natural"),
                &"--out",
                &out,
            ],
        );
        assert_eq!(said.code, Some(0), "{said:?}");
        std::fs::read_to_string(out.join("results.json")).unwrap()
    };
    let (one, two) = (results("1"), results("2"));
    assert_eq!(one, two);
}
