//! Where the tokens that the macros write come from: there the compiler points, and an editor leads to.

use proc_macro2::{LineColumn, TokenStream, TokenTree};

/// All tokens with where they are in the source; what a macro invented is nowhere.
fn tokens(stream: TokenStream, all: &mut Vec<(String, LineColumn)>) {
    for tree in stream {
        match tree {
            TokenTree::Group(group) => tokens(group.stream(), all),
            other => all.push((other.to_string(), other.span().start())),
        }
    }
}

/// Where the last of these tokens is, wherever they are in a row.
fn places(of: &TokenStream, row: &[&str]) -> Vec<LineColumn> {
    let mut all = Vec::new();
    tokens(of.clone(), &mut all);
    let is_row = |window: &&[(String, LineColumn)]| {
        window
            .iter()
            .map(|(text, _)| &**text)
            .eq(row.iter().copied())
    };
    let rows = all.windows(row.len()).filter(is_row);
    rows.filter_map(|row| row.last())
        .map(|(_, place)| *place)
        .collect()
}

fn line(line: usize, column: usize) -> LineColumn {
    LineColumn { line, column }
}

const BLOCK: &str = "impl Printer {
    fn on_sold(&self, item: &str, run: &Run<'_>) {}
    async fn on_tick(&self) -> io::Result<()> {}
}";

#[test]
fn tokens_of_the_glue_are_where_the_user_wrote_them() {
    let block = BLOCK.parse().unwrap();
    let glue = super::handler(&block);
    // To hover the parameter leads to the field; a wrong type is underlined at it.
    assert_eq!(places(&glue, &["event", ".", "item"]), [line(2, 22)]);
    assert_eq!(places(&glue, &["let", "item"]), [line(2, 22); 2]);
    assert_eq!(places(&glue, &["item", ":", "&", "str"]), [line(2, 29)]);
    // The method of the trait, and the call of the user's.
    assert_eq!(places(&glue, &["fn", "on_sold"]), [line(2, 7)]);
    assert_eq!(places(&glue, &["Self", ":", ":", "on_sold"]), [line(2, 7)]);
    // A future that is not `Send` is underlined at the user's `async`.
    assert_eq!(places(&glue, &["Box", ":", ":", "pin"]), [line(3, 4)]);
    // What a method returns, where it cannot be converted.
    assert_eq!(
        places(&glue, &["<", "io", ":", ":", "Result"]),
        [line(3, 35)]
    );
    // A second impl of the trait, or a type that is not `Send`.
    assert_eq!(places(&glue, &["for", "Printer"]), [line(1, 5); 4]);
}

#[test]
fn mistakes_are_where_the_user_made_them() {
    let block = "impl Printer {
    fn on_sld(&self) {}
    fn on_tick(self) {}
    fn on_sold(&self, itm: &str) {}
}";
    let glue = super::handler(&block.parse().unwrap());
    let errors = places(&glue, &[":", ":", "compile_error"]);
    assert_eq!(errors, [line(2, 7), line(3, 15), line(4, 22)]);
}
