use super::*;

/// Whether these bytes say two lengths, however they are cut.
fn said(text: &str) -> bool {
    let bytes = text.as_bytes();
    let answers: Vec<bool> = (0..=bytes.len())
        .map(|at| {
            let mut lengths = Lengths::new((), TwoLengths::default());
            lengths.look(&bytes[..at]);
            lengths.look(&bytes[at..]);
            lengths.two.said()
        })
        .collect();
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{text:?}"
    );
    answers[0]
}

#[test]
fn two_lengths_in_one_head_are_noticed() {
    for head in [
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nhost: a\r\ncontent-length:3\r\n\r\n",
        "POST / HTTP/1.1\ncontent-length: 3\nTRANSFER-ENCODING: x\n\n",
        "GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: x\r\n\r\n",
    ] {
        assert!(said(head), "{head:?}");
    }
}

#[test]
fn one_length_in_each_head_is_in_order() {
    for heads in [
        "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabcPOST / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\nPOST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 9\r\nx: transfer-encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 9\r\nx-transfer-encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\n{\"a\":\n\"transfer-encoding: x\",\n\"content-length: 3\":1}",
    ] {
        assert!(!said(heads), "{heads:?}");
    }
}
