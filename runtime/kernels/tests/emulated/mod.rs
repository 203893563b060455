//! VNNI's `vpdpwssd` for processors without it. The processor refuses it, Linux says so by a signal, and the
//! signal's handler reads the registers, does what the manual says and goes on behind it (Intel SDM volume 2, VPDPWSSD).

#![expect(unsafe_code, reason = "a signal handler, and the registers that it is given")]

use remedis_kernels::{Backend, Family};
use std::ffi::{c_int, c_void};
use std::mem::zeroed;
use std::ptr::null_mut;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where `XSAVE` puts things (Intel SDM volume 1, 13.4): lower and upper halves of the vectors, and which of them are in use.
const LOWER: usize = 160;
const UPPER: usize = 576;
const IN_USE: usize = 512;
/// Linux leaves this number where the processor leaves room, if upper halves follow (`FP_XSTATE_MAGIC1`).
const MAGIC: (usize, u32) = (464, 0x4650_5853);

static DONE: AtomicU64 = AtomicU64::new(0);

/// Instructions done since the start.
pub(crate) fn done() -> u64 {
    DONE.load(Ordering::Relaxed)
}

/// The back ends that this processor lacks, emulated.
pub(crate) fn backends() -> Vec<Backend> {
    if !std::arch::is_x86_feature_detected!("avx2") {
        return Vec::new();
    }
    install();
    // SAFETY: of the first, all that can be absent is one instruction, which the handler does; others are not run.
    let possible = unsafe { Backend::possible() };
    let is_absent = |backend: &Backend| backend.family() == Family::Avx2 && !Backend::all().contains(backend);
    possible.into_iter().filter(is_absent).collect()
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler calls nothing that a signal may not.
        let result = unsafe {
            let mut action: libc::sigaction = zeroed();
            action.sa_sigaction = handle as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize;
            action.sa_flags = libc::SA_SIGINFO;
            libc::sigaction(libc::SIGILL, &raw const action, null_mut())
        };
        assert_eq!(result, 0, "no handler for instructions that are absent");
    });
}

extern "C" fn handle(signal: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: Linux gives a context with the registers and, behind the number that is looked for, the upper halves; at the
    // instruction pointer lie at least the bytes that the processor refused.
    unsafe {
        let machine = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext;
        let at = &mut machine.gregs[libc::REG_RIP as usize];
        let state = machine.fpregs.cast::<u8>();
        let found = decode((*at as usize as *const u8).cast::<[u8; 5]>().read_unaligned());
        let (Some([sums, values, weights]), true) =
            (found, state.add(MAGIC.0).cast::<u32>().read_unaligned() == MAGIC.1)
        else {
            // Once more, as if nobody were here.
            libc::signal(signal, libc::SIG_DFL);
            return;
        };
        for half in [LOWER, UPPER] {
            let register = |number: u8| state.add(half + 16 * usize::from(number));
            let [values, weights] = [values, weights].map(|from| register(from).cast::<[i16; 8]>().read_unaligned());
            let mut results = register(sums).cast::<[i32; 4]>().read_unaligned();
            for (at, sum) in results.iter_mut().enumerate() {
                for pair in [2 * at, 2 * at + 1] {
                    *sum = sum.wrapping_add(i32::from(values[pair]) * i32::from(weights[pair]));
                }
            }
            register(sums).cast::<[i32; 4]>().write_unaligned(results);
        }
        *state.add(IN_USE) |= 0b110;
        *at += 5;
    }
    DONE.fetch_add(1, Ordering::Relaxed);
}

/// Registers (sums, first and second factor) of a `vpdpwssd` on 256-bit registers, five bytes long (Intel SDM volume 2, 2.3.5);
/// the bits that extend registers are stored inverted.
pub(crate) fn decode([kind, first, second, opcode, operands]: [u8; 5]) -> Option<[u8; 3]> {
    let is_it = kind == 0xC4
        && first & 0x1F == 0b00010
        && second & 0x87 == 0b0000_0101
        && opcode == 0x52
        && operands >> 6 == 0b11;
    let extended = |bit: u8| (!first >> bit & 1) << 3;
    is_it.then_some([operands >> 3 & 7 | extended(7), !second >> 3 & 0xF, operands & 7 | extended(5)])
}
