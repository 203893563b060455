//! A firmware to copy from: a camera without an operating system that sends each picture it takes, and hears what the device says.
//!
//! No std and no allocation. What depends on the board is behind [`camera::Board`]; here it is a board of nothing, so that this compiles
//! anywhere: `cargo check -p remedis-link --example vendor --features bare-metal`. For a Cortex-M add `--target thumbv7em-none-eabihf`,
//! with `cortex-m-rt`'s `#[entry]` in place of [`start`] and your own panic handler. `tests/vendor.rs` runs [`camera`] against a device.
#![no_std]

#[path = "camera.rs"]
mod camera;

use camera::{Board, Camera, PIXELS};

/// A board whose camera never has a picture and whose port is never free.
struct Nothing;

impl Board for Nothing {
    fn now_ms(&self) -> u64 {
        0
    }

    fn take_picture(&mut self, _into: &mut [u8; PIXELS]) -> bool {
        false
    }

    fn is_port_free(&self) -> bool {
        false
    }

    fn write(&mut self, _bytes: &[u8]) {}

    fn read(&mut self, _into: &mut [u8]) -> usize {
        0
    }

    fn set_baud(&mut self, _baud: u32) {}

    fn show(&mut self, _answer: &remedis_link::Heard) {}
}

/// Where the reset vector points.
pub fn start() -> ! {
    // This function never returns, so its memory is there for good.
    let mut picture = [0; PIXELS];
    let mut camera = Camera::new(Nothing, &mut picture, 1);
    loop {
        camera.turn();
    }
}

// A crate of the standard library anywhere below this one would bring a second handler, and this would not compile: that is the
// check that the link needs none.
#[panic_handler]
fn stop(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
