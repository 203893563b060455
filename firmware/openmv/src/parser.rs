//! Bytes to packets, resynchronising after noise.

use crate::packet::{CRC_LEN, Channel, Flags, HEADER_CRC, HEADER_LEN, Header, MAX_PAYLOAD, PAYLOAD_CRC, Packet, SYNC};

/// What a parser has met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParserCounters {
    /// Packets handed out.
    pub packets: u64,
    /// Headers whose CRC or length was wrong.
    pub bad_headers: u64,
    /// Payloads whose CRC was wrong.
    pub bad_payloads: u64,
    /// Bytes passed over while looking for a packet.
    pub skipped_bytes: u64,
}

/// Bytes to packets. Keeps no more than one packet's bytes, and what was pushed last.
#[derive(Clone, Debug, Default)]
pub struct Parser {
    bytes: Vec<u8>,
    /// What came before was used.
    start: usize,
    damaged: Option<Header>,
    counters: ParserCounters,
}

/// What the bytes begin with, once the noise before is passed over.
enum Found {
    Packet(Packet),
    /// The header is good, the payload is not.
    Damaged(Header),
    /// Not a header, although it begins as one.
    Noise,
}

impl Parser {
    /// Takes bytes off the line. Take all packets ([`next_packet`](Self::next_packet)) before the next call.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Forgets what has come of a packet.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
        self.damaged = None;
    }

    /// What was met so far.
    #[must_use]
    pub fn counters(&self) -> ParserCounters {
        self.counters
    }

    /// The next whole packet. A damaged one is passed over a byte at a time, so that one inside it is found.
    #[must_use]
    pub fn next_packet(&mut self) -> Option<Packet> {
        loop {
            self.pass_over_noise();
            match self.found()? {
                Found::Packet(packet) => {
                    let crc = if packet.payload.is_empty() { 0 } else { CRC_LEN };
                    self.start += HEADER_LEN + packet.payload.len() + crc;
                    self.counters.packets += 1;
                    return Some(packet);
                }
                Found::Damaged(header) => {
                    self.counters.bad_payloads += 1;
                    self.damaged = Some(header);
                }
                Found::Noise => self.counters.bad_headers += 1,
            }
            self.pass_over(1);
        }
    }

    /// The header of the packet whose payload was damaged last; told once.
    #[must_use]
    pub fn take_damaged(&mut self) -> Option<Header> {
        self.damaged.take()
    }

    /// Gives up the packet that has begun, because the line is silent and its end will not come: whole packets that it
    /// swallowed come from [`next_packet`](Self::next_packet) then. Returns whether there was one; call until there is none.
    #[must_use]
    pub fn give_up(&mut self) -> bool {
        let has_begun = self.start < self.bytes.len();
        self.pass_over(usize::from(has_begun));
        has_begun
    }

    /// Whether a whole [`Opcode::Sync`](crate::Opcode::Sync) command lies in the bytes of a packet that has not come to its end. A
    /// cut packet would otherwise swallow as many commands as its header promised bytes.
    #[must_use]
    pub fn holds_sync(&self) -> bool {
        let is_sync = |head: &[u8]| {
            let (checked, crc) = head.split_at(HEADER_LEN - 2);
            matches!(checked, [0xAA, 0xD5, _, 0, _, 0, 0, 0]) && crc == HEADER_CRC.checksum(checked).to_le_bytes()
        };
        self.rest().windows(HEADER_LEN).any(is_sync)
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    fn pass_over(&mut self, n: usize) {
        self.start += n;
        self.counters.skipped_bytes += n as u64;
    }

    /// Up to what may begin a packet.
    fn pass_over_noise(&mut self) {
        let (bytes, sync) = (self.rest(), SYNC.to_le_bytes());
        // The last byte may be the first of the pattern.
        let end = bytes.len() - usize::from(bytes.last() == Some(&sync[0]));
        let at = bytes.windows(2).position(|two| two == sync).unwrap_or(end);
        self.pass_over(at);
    }

    /// What the bytes begin with; `None` while they do not suffice.
    fn found(&self) -> Option<Found> {
        let (head, rest) = self.rest().split_first_chunk::<HEADER_LEN>()?;
        let [_, _, sequence, channel, flags, opcode, low, high, crc @ ..] = *head;
        let (checked, _) = head.split_at(HEADER_LEN - 2);
        let length = usize::from(u16::from_le_bytes([low, high]));
        if HEADER_CRC.checksum(checked) != u16::from_le_bytes(crc) || length > MAX_PAYLOAD {
            return Some(Found::Noise);
        }
        let header = Header { sequence, channel: Channel(channel), flags: Flags(flags), opcode };
        if length == 0 {
            return Some(Found::Packet(Packet { header, payload: Vec::new() }));
        }
        let (payload, rest) = rest.split_at_checked(length)?;
        let crc = u32::from_le_bytes(*rest.first_chunk::<CRC_LEN>()?);
        let is_good = PAYLOAD_CRC.checksum(payload) == crc;
        Some(if is_good { Found::Packet(Packet { header, payload: payload.to_vec() }) } else { Found::Damaged(header) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::encode;

    fn packet(payload: &[u8]) -> (Packet, Vec<u8>) {
        let header = Header { sequence: 7, channel: Channel::STREAM, flags: Flags::WANTS_ACK, opcode: 0x26 };
        let mut bytes = Vec::new();
        encode(header, payload, &mut bytes);
        (Packet { header, payload: payload.to_vec() }, bytes)
    }

    fn all(parser: &mut Parser) -> Vec<Packet> {
        std::iter::from_fn(|| parser.next_packet()).collect()
    }

    #[test]
    fn packets_come_back_byte_by_byte_and_between_noise() {
        let (empty, bytes_of_empty) = packet(&[]);
        let (full, bytes_of_full) = packet(&[0xaa; MAX_PAYLOAD]);
        let line = [&[1, 2, 0xaa, 0xd5, 3][..], &bytes_of_empty, &[0xaa], &bytes_of_full, &bytes_of_empty].concat();
        for step in [1, 3, 1000, line.len()] {
            let mut parser = Parser::default();
            let mut found = Vec::new();
            for bytes in line.chunks(step) {
                parser.push(bytes);
                found.extend(all(&mut parser));
            }
            assert_eq!(found, [empty.clone(), full.clone(), empty.clone()], "{step} bytes at a time");
            assert_eq!(parser.counters().skipped_bytes, 6);
        }
    }

    #[test]
    fn no_flip_of_up_to_five_bits_passes() {
        let (sent, bytes) = packet(b"a row of pixels");
        let bits = bytes.len() * 8;
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let mut damaged = bytes.clone();
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            for turn in 0..(state >> 60) as usize % 5 + 1 {
                let bit = (state >> 8).rotate_left(11 * turn as u32) as usize % bits;
                damaged[bit / 8] ^= 1 << (bit % 8);
            }
            let mut parser = Parser::default();
            parser.push(&damaged);
            for found in all(&mut parser) {
                assert!(found == sent && damaged == bytes, "{found:?}");
            }
        }
    }

    #[test]
    fn a_damaged_payload_is_told_once_by_its_header() {
        let (sent, mut bytes) = packet(b"a row of pixels");
        bytes[HEADER_LEN] ^= 1;
        let mut parser = Parser::default();
        parser.push(&bytes);
        assert_eq!(parser.next_packet(), None);
        assert_eq!(parser.take_damaged(), Some(sent.header));
        assert_eq!(parser.take_damaged(), None);
    }

    #[test]
    fn a_cut_packet_gives_back_what_it_swallowed_once_it_is_given_up() {
        let (_, long) = packet(&[1; 1000]);
        let (short, bytes) = packet(b"whole");
        let mut parser = Parser::default();
        parser.push(&[&long[..100], &bytes, &bytes, &long[..20]].concat());
        assert_eq!(all(&mut parser), []);
        let mut found = Vec::new();
        while parser.give_up() {
            found.extend(all(&mut parser));
        }
        assert_eq!(found, [short.clone(), short]);
        assert_eq!((parser.counters().skipped_bytes, parser.give_up()), (120, false));
    }
}
