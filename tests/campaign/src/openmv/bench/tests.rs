//! That the bench sees a frame that is lost, and tells it from one whose grant the line spoiled.

use super::*;
use crate::fault::Fault;
use remedis_openmv::{Channel, Header, MAX_PAYLOAD, PixelFormat, Status, encode};

const LINE: Line = Line { baud: 921_600, latency_ns: NS_PER_MS };
const N_FRAMES: u64 = 300;

/// On a line that drops packets and does nothing else.
fn bench(one_in: u32) -> Bench {
    Bench::new(LINE, Trouble { faults: vec![Fault::PacketDropped], one_in }, MAX_PAYLOAD, 1)
}

fn frame(rng: &mut ChaCha8Rng) -> Frame {
    let mut bytes = vec![0; 64];
    rand::Rng::fill_bytes(rng, &mut bytes);
    Frame { width: 8, height: 8, format: PixelFormat::Grey, bytes }
}

#[test]
fn a_frame_whose_grant_was_dropped_is_not_a_lost_one() {
    let mut bench = bench(20);
    assert!(bench.run(N_FRAMES, 120, frame));
    let seen = bench.seen();
    assert_eq!((seen.n_lost, seen.host.abandoned_frames), (0, 0));
    assert!(seen.n_unheard > 0, "of some 300 grants one in 20 is dropped");
    assert_eq!(seen.n_locked, seen.n_delivered + seen.n_unheard);
}

/// Between the line and the host sits somebody who takes one grant in ten for a refusal and lets go of the frame: a host that does so,
/// seen from outside.
#[test]
fn a_frame_that_its_host_lets_go_of_is_a_lost_one() {
    let mut bench = bench(100);
    let (mut n_grants, mut n_let_go) = (0, 0);
    while bench.seen.n_delivered < N_FRAMES {
        bench.show(frame);
        while let Some(parcel) = bench.to_host.arrived(bench.now_ns) {
            n_grants += u64::from(is_grant(&parcel.bytes));
            if is_grant(&parcel.bytes) && n_grants % 10 == 0 {
                n_let_go += 1;
                bench.let_go(parcel.bytes[2]);
            } else {
                bench.listen(&parcel);
            }
        }
        bench.step();
    }
    let seen = bench.seen();
    assert_eq!((seen.n_lost, seen.host.abandoned_frames), (n_let_go, 0), "the host knows nothing of them");
    assert!((1..seen.n_hit).contains(&n_let_go), "and the line has more hits, none of which excuses it");
    assert_eq!(seen.n_locked, seen.n_delivered + seen.n_lost + seen.n_unheard);
}

impl Bench {
    /// Releases the frame whose grant has this number, and tells the host that there is none.
    fn let_go(&mut self, sequence: u8) {
        let header = |sequence, flags, opcode| Header { sequence, channel: Channel::STREAM, flags, opcode };
        let (mut release, mut refusal) = (vec![], vec![]);
        encode(header(sequence.wrapping_add(1), Flags::default(), Opcode::ChannelUnlock as u8), &[], &mut release);
        self.camera.receive(self.now_ms(), &release);
        assert_eq!(packets(&self.camera.take_output()).len(), 1, "it says yes");
        let busy = (Status::Busy as u16).to_le_bytes();
        encode(header(sequence, Flags::NAK, Opcode::ChannelLock as u8), &busy, &mut refusal);
        self.listen(&Parcel { bytes: refusal, is_whole: true });
    }
}
