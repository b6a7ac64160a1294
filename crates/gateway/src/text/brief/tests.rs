use super::brief;

#[test]
fn what_is_too_long_is_cut_between_characters() {
    assert_eq!(brief("short", 5), "short");
    assert_eq!(brief("longer", 5), "longe…");
    assert_eq!(brief("ééé", 5), "éé…");
    assert_eq!(brief("é", 1), "…");
}
