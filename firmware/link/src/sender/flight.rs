//! What of a frame is under way: between the bytes acknowledged and the next byte to send.

use super::desk::MIN_CHUNK;

/// The part of an image that is under way, and how large its pieces are.
pub(super) struct Flight {
    /// Bytes before this one have arrived.
    acked: u32,
    /// The next byte to send.
    next: u32,
    /// Bytes before this one were sent at least once.
    sent: u32,
    length: u32,
    /// Bytes from `acked` on that the device lets be under way.
    credit: u32,
    chunk: u32,
    max_chunk: u32,
    /// The end was announced after the last chunk.
    is_ended: bool,
}

/// What is to be sent of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Chunk { offset: u32, length: u32, is_repeated: bool },
    End,
}

impl Flight {
    pub(super) fn new() -> Self {
        let chunk = MIN_CHUNK;
        Flight { acked: 0, next: 0, sent: 0, length: 0, credit: 0, chunk, max_chunk: chunk, is_ended: false }
    }

    /// A session with a device that takes chunks of up to `max_chunk` bytes.
    pub(super) fn connect(&mut self, max_chunk: u32, credit: u32) {
        (self.max_chunk, self.chunk, self.credit) = (max_chunk, max_chunk, credit);
    }

    /// Another frame of `length` bytes, of which nothing has arrived.
    pub(super) fn begin(&mut self, length: u32) {
        (self.length, self.sent) = (length, 0);
        self.go_back(0);
    }

    pub(super) fn is_paused(&self) -> bool {
        self.credit == 0
    }

    /// Takes the device's new credit; whether that pauses the hardware.
    pub(super) fn set_credit(&mut self, credit: u32) -> bool {
        let was_paused = self.is_paused();
        self.credit = credit;
        self.is_paused() && !was_paused
    }

    /// Goes on from `offset`, whatever was thought to have arrived.
    pub(super) fn go_back(&mut self, offset: u32) {
        (self.acked, self.next, self.is_ended) = (offset, offset, false);
    }

    /// The whole of what is unacknowledged is to be sent again.
    pub(super) fn go_back_to_acknowledged(&mut self) {
        self.go_back(self.acked);
    }

    /// Bytes before `offset` have arrived: so many packets at the present size, or `None` when that is old news.
    pub(super) fn acknowledge(&mut self, offset: u32) -> Option<u32> {
        let fresh = offset.checked_sub(self.acked).filter(|_| offset <= self.length)?;
        self.acked = offset;
        self.next = self.next.max(offset);
        Some(fresh.div_ceil(self.chunk.max(1)))
    }

    /// Whether the device holds more than was sent, from an earlier session.
    pub(super) fn is_ahead(&self, offset: u32) -> bool {
        offset > self.next.max(self.sent) && offset <= self.length
    }

    pub(super) fn is_acknowledged(&self) -> bool {
        self.acked >= self.length
    }

    pub(super) fn length(&self) -> u32 {
        self.length
    }

    /// The line is noisy: smaller pieces get through more often.
    pub(super) fn shrink(&mut self) {
        self.chunk = (self.chunk / 2).max(MIN_CHUNK).min(self.max_chunk);
    }

    /// The line is quiet: larger pieces cost less.
    pub(super) fn grow(&mut self) {
        self.chunk = (self.chunk + self.chunk / 4).min(self.max_chunk);
    }

    /// What may be sent now.
    pub(super) fn piece(&self) -> Option<Piece> {
        let rest = self.length.saturating_sub(self.next);
        if rest == 0 {
            return (!self.is_ended).then_some(Piece::End);
        }
        let room = self.acked.saturating_add(self.credit).saturating_sub(self.next);
        let wished = self.chunk.min(rest);
        // A piece is cut to fit only when nothing else is under way: small pieces cost the line more than a short wait.
        let length = if wished <= room || self.next > self.acked { wished } else { room };
        let is_repeated = self.next < self.sent;
        (length > 0 && length <= room).then_some(Piece::Chunk { offset: self.next, length, is_repeated })
    }

    /// `piece` is on its way.
    pub(super) fn sent(&mut self, piece: Piece) {
        match piece {
            Piece::Chunk { offset, length, .. } => {
                self.next = offset.saturating_add(length);
                self.sent = self.sent.max(self.next);
            }
            Piece::End => self.is_ended = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight() -> Flight {
        let mut flight = Flight::new();
        flight.connect(100, 220);
        flight.begin(330);
        flight
    }

    fn fly(flight: &mut Flight) -> std::vec::Vec<Piece> {
        let mut pieces = std::vec::Vec::new();
        while let Some(piece) = flight.piece() {
            flight.sent(piece);
            pieces.push(piece);
        }
        pieces
    }

    fn chunk(offset: u32, length: u32) -> Piece {
        Piece::Chunk { offset, length, is_repeated: false }
    }

    #[test]
    fn no_more_than_the_credit_is_under_way() {
        let mut flight = flight();
        assert_eq!(fly(&mut flight), [chunk(0, 100), chunk(100, 100)]);
        flight.acknowledge(100);
        assert_eq!(fly(&mut flight), [chunk(200, 100)]);
        flight.acknowledge(300);
        assert_eq!(fly(&mut flight), [chunk(300, 30), Piece::End]);
    }

    #[test]
    fn after_a_loss_everything_from_there_is_sent_again() {
        let mut flight = flight();
        fly(&mut flight);
        flight.go_back(100);
        let again = |offset| Piece::Chunk { offset, length: 100, is_repeated: true };
        assert_eq!(fly(&mut flight), [again(100), chunk(200, 100)]);
    }

    #[test]
    fn an_old_acknowledgement_changes_nothing() {
        let mut flight = flight();
        fly(&mut flight);
        assert_eq!(flight.acknowledge(200), Some(2));
        assert_eq!(flight.acknowledge(100), None);
        assert_eq!(flight.acknowledge(331), None);
        assert_eq!(fly(&mut flight), [chunk(200, 100), chunk(300, 30), Piece::End]);
    }

    #[test]
    fn a_small_credit_cuts_the_piece_and_none_pauses() {
        let mut flight = flight();
        assert!(!flight.set_credit(40));
        assert_eq!(fly(&mut flight), [chunk(0, 40)]);
        flight.acknowledge(40);
        assert!(flight.set_credit(0));
        assert_eq!(fly(&mut flight), []);
    }
}
