//! Little-endian fields read from, and written to, the body of a packet. Neither side ever indexes past an end.

/// Reads fields from the front of a message.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub(crate) fn bytes8(&mut self) -> Option<[u8; 8]> {
        self.take()
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.0)
    }
}

/// Writes fields one after another, each at once in COBS and into the checksum, so that a packet needs no second buffer.
pub(crate) struct Writer<'a> {
    cobs: cobs::CobsEncoder<'a>,
    crc: crc::Digest<'static, u32>,
    is_full: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(into: &'a mut [u8], crc: crc::Digest<'static, u32>) -> Self {
        Writer { cobs: cobs::CobsEncoder::new(into), crc, is_full: false }
    }

    /// `bytes` must not be empty: the encoder would count an empty piece at the end of a full COBS block as a byte.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.crc.update(bytes);
        self.is_full |= bytes.is_empty() || self.cobs.push(bytes).is_err();
        self
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.put(&[value])
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    /// Appends the checksum: how many bytes were written, or `None` when they did not fit.
    pub(crate) fn finish(mut self) -> Option<usize> {
        let crc = self.crc.finalize().to_le_bytes();
        self.is_full |= self.cobs.push(&crc).is_err();
        let length = self.cobs.finalize();
        (!self.is_full).then_some(length)
    }
}
