//! One frame from its announcement to the delivery of its answer.

use super::desk::{Desk, Work};
use super::{Known, Received};
use crate::{FrameHeader, MAX_FRAME, NakReason, image_crc};

impl<B: AsRef<[u8]> + AsMut<[u8]>> Desk<B> {
    pub(super) fn start(
        &mut self,
        now_ms: u64,
        sequence: u16,
        header: FrameHeader,
        journal: &mut impl FnMut(&FrameHeader) -> Known,
    ) -> Received {
        self.is_connected = true;
        match &mut self.work {
            Work::Receiving { header: current, received, is_cut } if *current == header => {
                self.ack_ms = Some(now_ms);
                if !core::mem::take(is_cut) || *received == 0 {
                    return Received::Nothing;
                }
                self.counters.resumed_frames += 1;
                return Received::Resumed { header, offset: *received };
            }
            Work::Complete { header: current } if *current == header => {
                self.ack_ms = Some(now_ms);
                return Received::Nothing;
            }
            Work::Complete { .. } => return self.nak(sequence, NakReason::Busy, header.id, 0),
            Work::Answered { header: current, .. } if *current == header => return self.repeat(now_ms),
            _ => {}
        }
        let capacity = u32::try_from(self.buffer.as_ref().len()).unwrap_or(u32::MAX).min(MAX_FRAME);
        if header.length == 0 || !header.is_consistent() {
            return self.nak(sequence, NakReason::BadHeader, header.id, 0);
        }
        if header.length > capacity {
            return self.nak(sequence, NakReason::TooLarge, header.id, capacity);
        }
        match journal(&header) {
            Known::Refuse(reason) => self.nak(sequence, reason, header.id, 0),
            Known::Answered(outcome) => {
                self.work = Work::Answered { header, outcome, tries: 0, due_ms: None, is_delivered: false };
                self.repeat(now_ms)
            }
            Known::New => {
                self.work = Work::Receiving { header, received: 0, is_cut: false };
                self.ack_ms = Some(now_ms);
                Received::Started(header)
            }
        }
    }

    pub(super) fn chunk(&mut self, now_ms: u64, sequence: u16, frame_id: u64, offset: u32, bytes: &[u8]) -> Received {
        match self.work {
            Work::Receiving { header, received, .. } if header.id == frame_id => {
                let end = u32::try_from(bytes.len()).ok().and_then(|len| offset.checked_add(len));
                match end.filter(|&end| offset <= received && end <= header.length) {
                    Some(end) if end > received => self.append(now_ms, sequence, bytes, offset, end),
                    Some(_) => {
                        self.counters.repeated_chunks += 1;
                        self.acknowledge(now_ms, 0);
                        Received::Nothing
                    }
                    None => self.nak(sequence, NakReason::OutOfOrder, frame_id, received),
                }
            }
            Work::Complete { header } if header.id == frame_id => {
                self.counters.repeated_chunks += 1;
                self.acknowledge(now_ms, 0);
                Received::Nothing
            }
            // What was under way when the answer was found in the journal asks for nothing.
            Work::Answered { header, due_ms, is_delivered, .. } if header.id == frame_id => {
                if is_delivered || due_ms.is_some() { Received::Nothing } else { self.repeat(now_ms) }
            }
            _ => self.nak(sequence, NakReason::UnknownFrame, frame_id, 0),
        }
    }

    /// Takes what is new of a chunk: it may overlap what has arrived, since a repeated piece may be cut elsewhere.
    fn append(&mut self, now_ms: u64, sequence: u16, bytes: &[u8], offset: u32, end: u32) -> Received {
        let Work::Receiving { header, received, .. } = self.work else { return Received::Nothing };
        let room = self.buffer.as_mut().get_mut(received as usize..end as usize);
        let fresh = bytes.get((received - offset) as usize..);
        let (Some(room), Some(fresh)) = (room, fresh) else { return Received::Nothing };
        room.copy_from_slice(fresh);
        self.work = Work::Receiving { header, received: end, is_cut: false };
        self.acknowledge(now_ms, end - received);
        if end < header.length { Received::Nothing } else { self.complete(now_ms, sequence, header) }
    }

    fn complete(&mut self, now_ms: u64, sequence: u16, header: FrameHeader) -> Received {
        let image = self.buffer.as_ref().get(..header.length as usize).unwrap_or_default();
        if image_crc(image) != header.crc {
            self.counters.damaged_images += 1;
            self.work = Work::Idle;
            return self.nak(sequence, NakReason::ImageDamaged, header.id, 0);
        }
        self.counters.frames += 1;
        self.work = Work::Complete { header };
        self.ack_ms = Some(now_ms);
        Received::Complete(header)
    }

    pub(super) fn end(&mut self, now_ms: u64, sequence: u16, frame_id: u64) -> Received {
        match self.work {
            Work::Receiving { header, received, .. } if header.id == frame_id => {
                self.nak(sequence, NakReason::OutOfOrder, frame_id, received)
            }
            Work::Complete { header } if header.id == frame_id => {
                self.ack_ms = Some(now_ms);
                Received::Nothing
            }
            Work::Answered { header, .. } if header.id == frame_id => self.repeat(now_ms),
            _ => self.nak(sequence, NakReason::UnknownFrame, frame_id, 0),
        }
    }

    pub(super) fn delivered(&mut self, id: u64) -> Received {
        match &mut self.work {
            Work::Answered { header, due_ms, is_delivered, .. } if header.id == id => {
                *due_ms = None;
                if core::mem::replace(is_delivered, true) {
                    Received::Nothing
                } else {
                    Received::Delivered { frame_id: id }
                }
            }
            _ => Received::Nothing,
        }
    }

    /// The hardware asks about an answered frame: its result is due now, and as often as at first.
    fn repeat(&mut self, now_ms: u64) -> Received {
        if let Work::Answered { tries, due_ms, .. } = &mut self.work {
            self.counters.repeated_results += 1;
            (*tries, *due_ms) = (0, Some(now_ms));
        }
        Received::Nothing
    }
}
