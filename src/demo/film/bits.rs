//! Bits, Exp-Golomb codes and the escaping of NAL units.

/// Writes a raw byte sequence payload (RBSP) bit by bit, most significant bit first.
#[derive(Debug, Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the last byte that are still free, 0 to 7.
    free: u32,
}

impl BitWriter {
    /// An empty payload.
    pub fn new() -> Self {
        Self::default()
    }

    /// `u(1)`.
    pub fn flag(&mut self, set: bool) {
        self.bits(u32::from(set), 1);
    }

    /// `u(n)`: the low `count` bits of `value`, at most 32.
    pub fn bits(&mut self, value: u32, count: u32) {
        for place in (0..count).rev() {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            self.free -= 1;
            let bit = (value >> place & 1) as u8;
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << self.free;
            }
        }
    }

    /// `ue(v)`, ISO/IEC 14496-10 section 9.1: as many zeros as `value + 1` has bits below its
    /// highest, then that number.
    pub fn ue(&mut self, value: u32) {
        let code = u64::from(value) + 1;
        let tail = code.ilog2();
        self.bits(0, tail);
        self.flag(true);
        // The low 32 bits hold the tail whole: it has at most 32.
        self.bits(code as u32, tail);
    }

    /// `se(v)`, section 9.1.1: 0, 1, -1, 2, -2 … become 0, 1, 2, 3, 4 …
    pub fn se(&mut self, value: i32) {
        let magnitude = value.unsigned_abs() * 2;
        self.ue(if value > 0 { magnitude - 1 } else { magnitude });
    }

    /// `pcm_alignment_zero_bit` up to the next whole byte.
    pub fn align(&mut self) {
        self.free = 0;
    }

    /// Whole bytes; the payload has to be aligned.
    pub fn aligned(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.free, 0);
        self.bytes.extend_from_slice(bytes);
    }

    /// Ends the payload with `rbsp_trailing_bits`, section 7.3.2.11.
    pub fn finish(mut self) -> Vec<u8> {
        self.flag(true);
        self.bytes
    }
}

/// Appends the payload of a NAL unit to `out`, with an `emulation_prevention_three_byte` wherever
/// two zeros would be followed by a byte below four: section 7.4.1.
pub fn escape(payload: &[u8], out: &mut Vec<u8>) {
    let mut zeros = 0;
    for &byte in payload {
        if zeros == 2 && byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut BitWriter)) -> String {
        let mut writer = BitWriter::new();
        write(&mut writer);
        let free = writer.free as usize;
        let all: String = writer.bytes.iter().map(|b| format!("{b:08b}")).collect();
        all[..all.len() - free].to_string()
    }

    #[test]
    fn unsigned_codes_are_those_of_table_9_2() {
        let vectors = [
            (0, "1"),
            (1, "010"),
            (2, "011"),
            (3, "00100"),
            (6, "00111"),
            (7, "0001000"),
            (30, "000011111"),
        ];
        for (value, code) in vectors {
            assert_eq!(written(|w| w.ue(value)), code, "ue({value})");
        }
        let largest = written(|w| w.ue(u32::MAX));
        assert_eq!(largest, format!("{}1{}", "0".repeat(32), "0".repeat(32)));
    }

    #[test]
    fn signed_codes_are_those_of_table_9_3() {
        let vectors = [
            (0, "1"),
            (1, "010"),
            (-1, "011"),
            (2, "00100"),
            (-2, "00101"),
        ];
        for (value, code) in vectors {
            assert_eq!(written(|w| w.se(value)), code, "se({value})");
        }
    }

    #[test]
    fn bits_run_over_byte_bounds_and_end_with_a_stop_bit() {
        assert_eq!(written(|w| w.bits(0b1_0110_0101, 9)), "101100101");
        let mut writer = BitWriter::new();
        writer.bits(0xABCD, 16);
        assert_eq!(writer.finish(), [0xAB, 0xCD, 0x80]);
        let mut writer = BitWriter::new();
        writer.flag(true);
        writer.align();
        writer.aligned(&[7]);
        assert_eq!(writer.finish(), [0x80, 7, 0x80]);
    }

    #[test]
    fn no_start_code_can_appear_in_an_escaped_payload() {
        let vectors: [(&[u8], &[u8]); 5] = [
            (&[0, 0, 1], &[0, 0, 3, 1]),
            (&[0, 0, 0, 0, 0], &[0, 0, 3, 0, 0, 3, 0]),
            (&[0, 0, 3, 0, 0, 2], &[0, 0, 3, 3, 0, 0, 3, 2]),
            (&[0, 0, 4], &[0, 0, 4]),
            (&[0, 1, 0, 0], &[0, 1, 0, 0]),
        ];
        for (payload, escaped) in vectors {
            let mut out = Vec::new();
            escape(payload, &mut out);
            assert_eq!(out, escaped);
        }
    }
}
