//! Bits and Huffman codes of a JPEG scan. Source: ITU-T T.81, B.1.1.5 (stuffed bytes), annex C and F.2.2.3 (codes).

/// Why a scan could not be walked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its data end first.
    Short,
    /// It holds something that no scan should.
    Unknown,
}

/// Codes that are so short are looked up.
const LOOKED_UP: u32 = 9;
const LONGEST: u32 = 16;

/// A table of Huffman codes.
pub(super) struct Table {
    /// By the next bits: length of the code, 0 where it is longer, and its symbol.
    short: Vec<(u8, u8)>,
    /// By length from 1: the code after the last one, as the first of 16 bits, and how far a code lies before its symbol's place.
    long: Vec<(u32, i32)>,
    symbols: Vec<u8>,
}

impl Table {
    /// A table from a segment, and what follows it; `None` where the codes do not fit their lengths.
    pub(super) fn read(segment: &[u8]) -> Option<(Self, &[u8])> {
        let (counts, rest) = segment.split_at_checked(LONGEST as usize)?;
        let n_symbols: usize = counts.iter().map(|&count| usize::from(count)).sum();
        let (symbols, rest) = rest.split_at_checked(n_symbols)?;
        let (mut code, mut place) = (0_u32, 0_usize);
        let (mut short, mut long) = (vec![(0, 0); 1 << LOOKED_UP], Vec::new());
        for (length, &count) in (1_u32..).zip(counts) {
            let offset = i32::try_from(place).ok()? - i32::try_from(code).ok()?;
            for &symbol in &symbols[place..place + usize::from(count)] {
                if code >= 1 << length {
                    return None;
                }
                if length <= LOOKED_UP {
                    let (first, n) = ((code << (LOOKED_UP - length)) as usize, 1_usize << (LOOKED_UP - length));
                    short[first..first + n].fill((length as u8, symbol));
                }
                code += 1;
            }
            place += usize::from(count);
            long.push((code << (LONGEST - length), offset));
            code <<= 1;
        }
        Some((Self { short, long, symbols: symbols.to_vec() }, rest))
    }

    /// Length and symbol of the code that 16 bits begin with.
    fn find(&self, sixteen: u32) -> Option<(u32, u8)> {
        let (length, symbol) = self.short[(sixteen >> (LONGEST - LOOKED_UP)) as usize];
        if length > 0 {
            return Some((u32::from(length), symbol));
        }
        let lengths = (1_u32..).zip(&self.long).skip(LOOKED_UP as usize);
        let (length, &(_, offset)) = lengths.into_iter().find(|(_, (end, _))| sixteen < *end)?;
        let place = (sixteen >> (LONGEST - length)) as i32 + offset;
        Some((length, *self.symbols.get(usize::try_from(place).ok()?)?))
    }
}

/// The bits of a scan, up to the next marker.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// Bits that come next, the first one highest.
    ahead: u64,
    n_ahead: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, ahead: 0, n_ahead: 0 }
    }

    fn fill(&mut self) {
        while self.n_ahead <= 56 {
            let (byte, n) = match *self.data {
                [0xff, 0, ..] => (0xff, 2),
                [byte, ..] if byte != 0xff => (byte, 1),
                // A marker, or the end.
                _ => return,
            };
            self.ahead |= u64::from(byte) << (56 - self.n_ahead);
            self.n_ahead += 8;
            self.data = &self.data[n..];
        }
    }

    /// The symbol of the next code.
    pub(super) fn symbol(&mut self, table: &Table) -> Result<u8, End> {
        if self.n_ahead < LONGEST {
            self.fill();
        }
        let is_ending = self.n_ahead < LONGEST;
        let found = table.find((self.ahead >> 48) as u32);
        let (length, symbol) = found.ok_or(if is_ending { End::Short } else { End::Unknown })?;
        self.skip(length)?;
        Ok(symbol)
    }

    pub(super) fn skip(&mut self, n: u32) -> Result<(), End> {
        if self.n_ahead < n {
            self.fill();
        }
        self.n_ahead = self.n_ahead.checked_sub(n).ok_or(End::Short)?;
        self.ahead <<= n;
        Ok(())
    }

    /// A number of `n` bits, at most 15.
    pub(super) fn take(&mut self, n: u32) -> Result<u32, End> {
        if self.n_ahead < n {
            self.fill();
        }
        let number = (self.ahead >> 48) as u32 >> (LONGEST - n);
        self.skip(n)?;
        Ok(number)
    }

    /// Goes on behind the restart marker that comes next.
    pub(super) fn restart(&mut self) -> Result<(), End> {
        self.fill();
        // Less than a byte of padding.
        if self.n_ahead >= 8 {
            return Err(End::Unknown);
        }
        while let [0xff, 0xff, ..] = self.data {
            self.data = &self.data[1..];
        }
        match *self.data {
            [0xff, 0xd0..=0xd7, ref rest @ ..] => {
                *self = Self::new(rest);
                Ok(())
            }
            _ => Err(End::Short),
        }
    }
}
