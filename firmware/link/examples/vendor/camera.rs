//! The loop of the camera: a picture to the link, bytes to and from the port, the answer to whoever shows it.

use remedis_link::{Format, FrameHeader, Heard, Packet, Rates, Sender, Timing};

/// Pixels of a picture, 8 bits grey each.
pub(crate) const WIDTH: u16 = 224;
/// Rows of a picture.
pub(crate) const HEIGHT: u16 = 224;
/// Bytes of a picture.
pub(crate) const PIXELS: usize = WIDTH as usize * HEIGHT as usize;

/// What depends on the board.
pub(crate) trait Board {
    /// A clock that never goes back.
    fn now_ms(&self) -> u64;
    /// Takes a picture if there is one to take.
    fn take_picture(&mut self, into: &mut [u8; PIXELS]) -> bool;
    /// Whether the port has sent everything it was given.
    fn is_port_free(&self) -> bool;
    /// Gives the port one packet, by DMA or byte by byte.
    fn write(&mut self, bytes: &[u8]);
    /// What has arrived since the last call: how many bytes.
    fn read(&mut self, into: &mut [u8]) -> usize;
    /// Sets the rate of the port; called only while it is free.
    fn set_baud(&mut self, baud: u32);
    /// Tells the operator.
    fn show(&mut self, answer: &Heard);
}

/// The camera on its line. There is memory for one picture: the link has it from the picture to its answer.
pub(crate) struct Camera<'a, B> {
    /// What depends on the board.
    pub(crate) board: B,
    sender: Sender<&'a mut [u8; PIXELS]>,
    picture: Option<&'a mut [u8; PIXELS]>,
    packet: Packet,
    baud: u32,
    next_frame: u64,
}

impl<'a, B: Board> Camera<'a, B> {
    /// A camera that numbers its pictures from `boot_count * 2^32` on: no number is ever used twice, so keep the count in flash.
    pub(crate) fn new(board: B, picture: &'a mut [u8; PIXELS], boot_count: u32) -> Self {
        let timing = Timing { ack_ms: 400, result_ms: 2000, keepalive_ms: 1000, retries: 8 };
        let mut sender = Sender::new(boot_count, timing);
        if let Some(rates) = Rates::new(115_200, &[57_600, 115_200, 460_800, 921_600]) {
            sender = sender.with_rates(rates);
        }
        let (picture, next_frame) = (Some(picture), u64::from(boot_count) << 32);
        Camera { board, sender, picture, packet: Packet::new(), baud: 115_200, next_frame }
    }

    /// One turn of the main loop. It never waits; between two turns the processor may sleep until a byte, the port or the clock
    /// (at the sender's `due_ms`) wakes it.
    pub(crate) fn turn(&mut self) {
        self.listen();
        self.take();
        self.talk();
    }

    fn listen(&mut self) {
        let mut bytes = [0; 64];
        let n = self.board.read(&mut bytes);
        let mut rest = bytes.get(..n).unwrap_or_default();
        loop {
            match self.sender.receive(self.board.now_ms(), &mut rest) {
                Heard::Nothing => return,
                // Only now is the answer durable on the device, and the picture forgotten.
                heard => self.board.show(&heard),
            }
        }
    }

    fn take(&mut self) {
        self.picture = self.picture.take().or_else(|| self.sender.reclaim());
        let Some(picture) = self.picture.take() else { return };
        let header = self.board.take_picture(picture).then(|| self.header(picture)).flatten();
        // Before it is announced, and should it not be taken, the picture's memory stays here.
        self.picture = match header {
            Some(header) => self.sender.send(self.board.now_ms(), header, picture).err(),
            None => Some(picture),
        };
    }

    fn header(&mut self, picture: &[u8; PIXELS]) -> Option<FrameHeader> {
        let id = self.next_frame;
        self.next_frame += 1;
        FrameHeader::new(id, Format::RawGrey8, WIDTH, HEIGHT, picture)
    }

    fn talk(&mut self) {
        if !self.board.is_port_free() {
            return;
        }
        let now_ms = self.board.now_ms();
        let is_due = self.sender.poll(now_ms, &mut self.packet);
        if let Some(baud) = self.sender.baud().filter(|&baud| baud != self.baud) {
            self.board.set_baud(baud);
            self.baud = baud;
        }
        if is_due {
            self.board.write(self.packet.as_bytes());
        }
    }
}
