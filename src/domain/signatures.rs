//! How providers sign URLs, and which parameters of a query are such a signature.

/// How a provider signs URLs: its parameters, and those that show that a URL is signed so. Short
/// names such as `se` mean something else where no signature stands beside them.
struct Scheme {
    marks: &'static [&'static str],
    parameters: &'static [&'static str],
}

/// The schemes by which one URL is signed.
#[derive(Default)]
pub struct Signatures(Vec<&'static Scheme>);

impl Signatures {
    /// Those of a query with parameters of these names.
    pub fn among(names: &[impl AsRef<[u8]>]) -> Self {
        let is_signed = |scheme: &&Scheme| {
            let has = |mark: &&str| names.iter().any(|name| is(name.as_ref(), mark));
            scheme.marks.iter().all(has)
        };
        Self(SCHEMES.iter().filter(is_signed).collect())
    }

    /// Whether a parameter of this name belongs to one of them.
    pub fn have(&self, name: &[u8]) -> bool {
        let mut parameters = self.0.iter().flat_map(|scheme| scheme.parameters);
        parameters.any(|parameter| is(name, parameter))
    }
}

fn is(name: &[u8], known: &str) -> bool {
    name.eq_ignore_ascii_case(known.as_bytes())
}

const SCHEMES: [Scheme; 6] = [
    Scheme {
        marks: &["X-Amz-Signature"],
        parameters: &[
            "X-Amz-Algorithm",
            "X-Amz-Credential",
            "X-Amz-Date",
            "X-Amz-Expires",
            "X-Amz-Security-Token",
            "X-Amz-Signature",
            "X-Amz-SignedHeaders",
        ],
    },
    Scheme {
        marks: &["AWSAccessKeyId", "Signature"],
        parameters: &["AWSAccessKeyId", "Expires", "Signature"],
    },
    Scheme {
        marks: &["X-Goog-Signature"],
        parameters: &[
            "X-Goog-Algorithm",
            "X-Goog-Credential",
            "X-Goog-Date",
            "X-Goog-Expires",
            "X-Goog-Signature",
            "X-Goog-SignedHeaders",
        ],
    },
    Scheme {
        marks: &["GoogleAccessId", "Signature"],
        parameters: &["GoogleAccessId", "Expires", "Signature"],
    },
    Scheme {
        marks: &["Key-Pair-Id", "Signature"],
        parameters: &["Expires", "Key-Pair-Id", "Policy", "Signature"],
    },
    Scheme {
        marks: &["sig", "se"],
        parameters: &[
            "se", "sig", "sip", "skoid", "sks", "skt", "sktid", "skv", "ske", "sp", "spr", "sr",
            "srt", "ss", "st", "sv",
        ],
    },
];
