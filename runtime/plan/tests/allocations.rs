//! An engine takes all its memory when it is made.

use remedis_plan::{Engine, Plan};

#[path = "common/zoo.rs"]
mod zoo;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// The only test of this program: the counter counts all threads.
#[test]
fn an_answer_allocates_nothing() {
    let _profiler = dhat::Profiler::builder().testing().build();
    for (name, threads) in [("mbv2", 1), ("mbv2", 2), ("lite0", 2), ("rn18", 1), ("rn18", 3)] {
        let (graph, shape) = zoo::network(name, 48);
        let mut engine = Engine::new(Plan::compile_here(&graph, &[shape]).unwrap(), threads);
        let (input, mut output) = (vec![0.3; shape.volume()], vec![0.0; 1000]);
        // Threads allocate while they start; with the first answer all of them have.
        engine.run(&[&input], &mut [&mut output]);
        let before = dhat::HeapStats::get().total_blocks;
        for _ in 0..3 {
            engine.run(&[&input], &mut [&mut output]);
        }
        assert_eq!(dhat::HeapStats::get().total_blocks, before, "{name} with {threads} threads");
    }
}
