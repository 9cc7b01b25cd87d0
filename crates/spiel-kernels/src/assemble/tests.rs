//! What is joined, in which order, and which sources are equal.

use super::*;

#[test]
fn parts_come_once_and_before_their_users() {
    let text = "// uses: reduce grid $weight\nfn main() {}\n";
    let part = "// uses: grid\nfn decode() {}\n";
    let constants = [Constant::U32("SIZE", 3), Constant::Part("weight", part)];
    let all = Source::new(text, &constants).assemble();
    assert!(all.starts_with("const SIZE: u32 = 3u;\n"));
    assert_eq!(all.matches("fn grid_index").count(), 1);
    assert!(all.find("fn decode").unwrap() < all.find("fn main").unwrap());
}

#[test]
fn sources_are_equal_if_all_that_is_joined_is() {
    let source = |size, part| {
        let constants = [Constant::U32("SIZE", size), Constant::Part("weight", part)];
        Source::new("// uses: $weight\n", &constants)
    };
    let (one, other) = ("fn one() {}", "fn other() {}");
    assert_eq!(source(3, one), source(3, one));
    assert_ne!(source(3, one), source(4, one));
    assert_ne!(source(3, one), source(3, other));
    assert_ne!(source(3, one), Source::new("// uses: grid\n", &[]));
}

#[test]
fn features_come_first_and_once() {
    let part = "// enable: f16\nalias Half = f16;\n";
    let slots = [("a", part), ("b", part)].map(|(slot, part)| Constant::Part(slot, part));
    let constants = [&slots[..], &[Constant::U32("SIZE", 3)]].concat();
    let all = Source::new("// uses: $a $b\nfn main() {}\n", &constants).assemble();
    assert!(all.starts_with("enable f16;\nconst SIZE: u32 = 3u;\n"), "{all}");
    assert_eq!(all.matches("enable f16;").count(), 1);
}
