use super::*;

#[test]
fn the_seeds_policies_are_canonical() {
    for text in [
        include_str!("../../../../examples/policies/spawn.json"),
        include_str!("../../../../examples/policies/distribute-work.json"),
        include_str!("../../../../examples/policies/execute-parallel.json"),
    ] {
        assert_eq!(Policy::parse(text).unwrap().to_json(), text);
    }
}
