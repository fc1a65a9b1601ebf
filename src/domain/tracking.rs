//! Parameters that advertisements and newsletters add to links, to see who follows them.

/// Whether a parameter only says where a visitor came from.
pub fn is_tracking(name: &[u8]) -> bool {
    name.starts_with(b"utm_") || TRACKING.iter().any(|known| known.as_bytes() == name)
}

const TRACKING: [&str; 28] = [
    "_ga",
    "_gl",
    "_hsenc",
    "_hsmi",
    "dclid",
    "epik",
    "fbclid",
    "gad_campaignid",
    "gad_source",
    "gbraid",
    "gclid",
    "gclsrc",
    "hsCtaTracking",
    "igsh",
    "igshid",
    "li_fat_id",
    "mc_cid",
    "mc_eid",
    "mkt_tok",
    "msclkid",
    "oly_anon_id",
    "oly_enc_id",
    "srsltid",
    "ttclid",
    "twclid",
    "vero_id",
    "wbraid",
    "yclid",
];
