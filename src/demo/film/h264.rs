//! H.264 in its plainest form (ISO/IEC 14496-10, Constrained Baseline, CAVLC).
//!
//! A macroblock is either `I_PCM`, its samples as they are, or skipped, which repeats what the
//! frame before showed there: as no macroblock ever has a motion vector, the predicted one is
//! zero too (section 8.4.1.1). So nothing is transformed, quantised or predicted, the decoded
//! picture is the drawn one to the bit, and every decoder gets along with it.

use super::{
    FRAMES_PER_SECOND,
    bits::{BitWriter, escape},
    picture::{COLUMNS, HEIGHT, MACROBLOCK, Picture, Plane, ROWS},
};

/// `profile_idc`, the constraint flags, `level_idc`: Constrained Baseline, level 3.
pub const PROFILE_LEVEL: [u8; 3] = [66, 0b1100_0000, 30];

/// The sequence parameter set as a NAL unit: section 7.3.2.1, its VUI annex E.1.
pub fn sequence_parameters() -> Vec<u8> {
    let mut w = BitWriter::new();
    w.aligned(&PROFILE_LEVEL);
    w.ue(0); // seq_parameter_set_id
    w.ue(FRAME_NUM_BITS - 4); // log2_max_frame_num_minus4
    w.ue(2); // pic_order_cnt_type: shown in the order decoded
    w.ue(1); // max_num_ref_frames
    w.flag(false); // gaps_in_frame_num_value_allowed_flag
    w.ue(COLUMNS as u32 - 1); // pic_width_in_mbs_minus1
    w.ue(ROWS as u32 - 1); // pic_height_in_map_units_minus1
    w.flag(true); // frame_mbs_only_flag
    w.flag(true); // direct_8x8_inference_flag
    w.flag(true); // frame_cropping_flag: left, right, top, bottom in pairs of rows
    for pairs in [0, 0, 0, (ROWS * MACROBLOCK - HEIGHT) / 2] {
        w.ue(pairs as u32);
    }
    w.flag(true); // vui_parameters_present_flag
    usability(&mut w);
    nal(NalType::Sequence, &w.finish())
}

fn usability(w: &mut BitWriter) {
    w.flag(true); // aspect_ratio_info_present_flag
    w.bits(1, 8); // aspect_ratio_idc: square samples
    w.flag(false); // overscan_info_present_flag
    w.flag(true); // video_signal_type_present_flag
    w.bits(5, 3); // video_format: unspecified
    w.flag(false); // video_full_range_flag
    w.flag(true); // colour_description_present_flag: BT.709 throughout
    for _ in ["primaries", "transfer", "matrix"] {
        w.bits(1, 8);
    }
    w.flag(false); // chroma_loc_info_present_flag
    w.flag(true); // timing_info_present_flag
    w.bits(1, 32); // num_units_in_tick
    w.bits(2 * FRAMES_PER_SECOND, 32); // time_scale: two ticks a frame
    w.flag(true); // fixed_frame_rate_flag
    w.flag(false); // nal_hrd_parameters_present_flag
    w.flag(false); // vcl_hrd_parameters_present_flag
    w.flag(false); // pic_struct_present_flag
    w.flag(true); // bitstream_restriction_flag
    w.flag(true); // motion_vectors_over_pic_boundaries_flag
    w.ue(0); // max_bytes_per_pic_denom: no bound
    w.ue(0); // max_bits_per_mb_denom: no bound
    w.ue(0); // log2_max_mv_length_horizontal
    w.ue(0); // log2_max_mv_length_vertical
    w.ue(0); // max_num_reorder_frames: a decoder need not hold anything back
    w.ue(1); // max_dec_frame_buffering
}

/// The picture parameter set as a NAL unit: section 7.3.2.2.
pub fn picture_parameters() -> Vec<u8> {
    let mut w = BitWriter::new();
    w.ue(0); // pic_parameter_set_id
    w.ue(0); // seq_parameter_set_id
    w.flag(false); // entropy_coding_mode_flag: CAVLC
    w.flag(false); // bottom_field_pic_order_in_frame_present_flag
    w.ue(0); // num_slice_groups_minus1
    w.ue(0); // num_ref_idx_l0_default_active_minus1
    w.ue(0); // num_ref_idx_l1_default_active_minus1
    w.flag(false); // weighted_pred_flag
    w.bits(0, 2); // weighted_bipred_idc
    w.se(0); // pic_init_qp_minus26
    w.se(0); // pic_init_qs_minus26
    w.se(0); // chroma_qp_index_offset
    w.flag(true); // deblocking_filter_control_present_flag: slices turn it off
    w.flag(false); // constrained_intra_pred_flag
    w.flag(false); // redundant_pic_cnt_present_flag
    nal(NalType::Picture, &w.finish())
}

/// Turns pictures into coded ones, a whole one (IDR) now and then and what changed between them.
#[derive(Debug, Default)]
pub struct Encoder {
    before: Option<Picture>,
    /// Frames since the last whole one.
    frame_num: u32,
    /// Whole frames so far; two neighbours must carry different numbers.
    whole: u32,
}

impl Encoder {
    /// One coded picture as an MP4 sample: a NAL unit after its length in four bytes.
    pub fn encode(&mut self, picture: Picture, whole: bool) -> Vec<u8> {
        let before = self.before.take().filter(|_| !whole);
        let kind = if before.is_some() {
            NalType::Change
        } else {
            NalType::Whole
        };
        let mut w = BitWriter::new();
        match &before {
            None => {
                self.frame_num = 0;
                self.whole += 1;
            }
            Some(_) => self.frame_num = (self.frame_num + 1) % (1 << FRAME_NUM_BITS),
        }
        self.slice_header(&mut w, kind);
        slice_data(&mut w, &picture, before.as_ref());
        self.before = Some(picture);
        sample(&nal(kind, &w.finish()))
    }

    /// Section 7.3.3.
    fn slice_header(&self, w: &mut BitWriter, kind: NalType) {
        let whole = kind == NalType::Whole;
        w.ue(0); // first_mb_in_slice
        w.ue(if whole { 7 } else { 5 }); // slice_type: all of the picture is I, or P
        w.ue(0); // pic_parameter_set_id
        w.bits(self.frame_num, FRAME_NUM_BITS);
        if whole {
            w.ue(self.whole % 2); // idr_pic_id
            w.flag(false); // no_output_of_prior_pics_flag
            w.flag(false); // long_term_reference_flag
        } else {
            w.flag(false); // num_ref_idx_active_override_flag
            w.flag(false); // ref_pic_list_modification_flag_l0
            w.flag(false); // adaptive_ref_pic_marking_mode_flag
        }
        w.se(0); // slice_qp_delta
        w.ue(1); // disable_deblocking_filter_idc
    }
}

/// Section 7.3.4: every macroblock of a whole picture, the changed ones of any other.
fn slice_data(w: &mut BitWriter, picture: &Picture, before: Option<&Picture>) {
    let mut skipped = 0;
    for place in 0..COLUMNS * ROWS {
        let (column, row) = (place % COLUMNS, place / COLUMNS);
        let coded = samples(picture, column, row);
        match before {
            None => w.ue(25), // mb_type I_PCM in an I slice: table 7-11
            Some(before) if samples(before, column, row).eq(coded.clone()) => {
                skipped += 1;
                continue;
            }
            Some(_) => {
                w.ue(skipped); // mb_skip_run
                w.ue(5 + 25); // the same type after the five of a P slice
                skipped = 0;
            }
        }
        w.align();
        coded.for_each(|run| w.aligned(run));
    }
    if skipped > 0 {
        w.ue(skipped);
    }
}

/// The rows of one macroblock in the order of `I_PCM`: Y, Cb, Cr.
fn samples(picture: &Picture, column: usize, row: usize) -> impl Iterator<Item = &[u8]> + Clone {
    let [luma, blue, red] = &picture.planes;
    block(luma, column, row, MACROBLOCK)
        .chain(block(blue, column, row, MACROBLOCK / 2))
        .chain(block(red, column, row, MACROBLOCK / 2))
}

fn block(
    plane: &Plane,
    column: usize,
    row: usize,
    side: usize,
) -> impl Iterator<Item = &[u8]> + Clone {
    let rows = plane.samples.chunks_exact(plane.width);
    rows.skip(row * side)
        .take(side)
        .map(move |line| &line[column * side..][..side])
}

/// The NAL units in use: `nal_ref_idc` and `nal_unit_type`, section 7.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NalType {
    Change = 2 << 5 | 1,
    Whole = 3 << 5 | 5,
    Sequence = 3 << 5 | 7,
    Picture = 3 << 5 | 8,
}

fn nal(kind: NalType, payload: &[u8]) -> Vec<u8> {
    let mut unit = Vec::with_capacity(payload.len() + 16);
    unit.push(kind as u8);
    escape(payload, &mut unit);
    unit
}

/// ISO/IEC 14496-15 section 5.3.2: no start codes, a length before each unit.
fn sample(unit: &[u8]) -> Vec<u8> {
    let length = unit.len() as u32;
    [&length.to_be_bytes(), unit].concat()
}

/// Enough for any distance between whole frames: the number may wrap (section 7.4.3).
const FRAME_NUM_BITS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_picture_holds_every_sample_and_an_unchanged_one_next_to_none() {
        let mut encoder = Encoder::default();
        let whole = encoder.encode(Picture::new(), false).len();
        let raw = COLUMNS * ROWS * (256 + 64 + 64);
        assert!((raw..raw + 3 * COLUMNS * ROWS).contains(&whole), "{whole}");
        let same = encoder.encode(Picture::new(), false).len();
        assert!(same < 16, "{same}");
    }

    #[test]
    fn only_the_changed_macroblock_is_coded() {
        let mut encoder = Encoder::default();
        encoder.encode(Picture::new(), true);
        let mut changed = Picture::new();
        changed.planes[2].samples[20] = 99;
        let sample = encoder.encode(changed, false);
        assert!((384..400).contains(&sample.len()), "{}", sample.len());
        assert!(sample.contains(&99));
    }

    #[test]
    fn the_length_before_a_unit_is_that_of_the_unit() {
        let sample = Encoder::default().encode(Picture::new(), true);
        let (length, unit) = sample.split_at(4);
        assert_eq!(length, (unit.len() as u32).to_be_bytes());
        assert_eq!(unit[0], 0x65);
    }

    #[test]
    fn parameter_sets_hold_no_start_code() {
        let unit = sequence_parameters();
        assert_eq!(unit[..4], [0x67, 66, 0xC0, 30]);
        for unit in [unit, picture_parameters()] {
            assert!(unit.windows(3).all(|w| w[..2] != [0, 0] || w[2] > 2));
        }
    }
}
