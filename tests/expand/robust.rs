//! Whatever stands under the attributes, the macros do not panic, what they write can be read, and the
//! user's item stays. In an editor most of what they see is half-typed.

use std::collections::BTreeMap;
use std::thread;

use allocation_counter::measure;
use proc_macro2::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::RngSeed;
use quote::{format_ident, quote};

use super::{events, handler};

/// A change of the token at a place, counted through all groups.
#[derive(Clone, Debug)]
enum Mutation {
    Delete(Index),
    Double(Index),
    Swap(Index),
    Insert(Index, TokenTree),
    Wrap(Index, Delimiter),
    Unwrap(Index),
}

impl Mutation {
    fn apply(&self, tokens: TokenStream) -> TokenStream {
        let count = count(&tokens);
        if count == 0 {
            return tokens;
        }
        let (Self::Delete(at)
        | Self::Double(at)
        | Self::Swap(at)
        | Self::Insert(at, _)
        | Self::Wrap(at, _)
        | Self::Unwrap(at)) = self;
        self.walk(tokens, &mut Some(at.index(count)))
    }

    /// `left` is how many tokens come before the one that is changed; `None` after it.
    fn walk(&self, tokens: TokenStream, left: &mut Option<usize>) -> TokenStream {
        let mut tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match left {
                None => break,
                Some(0) => {
                    *left = None;
                    self.change(&mut tokens, at);
                    break;
                }
                Some(more) => *more -= 1,
            }
            if let TokenTree::Group(group) = &tokens[at] {
                let inside = self.walk(group.stream(), left);
                tokens[at] = Group::new(group.delimiter(), inside).into();
            }
            at += 1;
        }
        tokens.into_iter().collect()
    }

    fn change(&self, tokens: &mut Vec<TokenTree>, at: usize) {
        match self {
            Self::Delete(_) => drop(tokens.remove(at)),
            Self::Double(_) => tokens.insert(at, tokens[at].clone()),
            Self::Swap(_) => {
                let next = (at + 1) % tokens.len();
                tokens.swap(at, next);
            }
            Self::Insert(_, token) => tokens.insert(at, token.clone()),
            Self::Wrap(_, delimiter) => {
                let inside = tokens.split_off(at).into_iter().collect();
                tokens.push(Group::new(*delimiter, inside).into());
            }
            Self::Unwrap(_) => {
                if let TokenTree::Group(group) = &tokens[at] {
                    let inside = group.stream();
                    tokens.splice(at..=at, inside);
                }
            }
        }
    }
}

fn count(tokens: &TokenStream) -> usize {
    let trees = tokens.clone().into_iter();
    trees
        .map(|tree| match tree {
            TokenTree::Group(group) => 1 + count(&group.stream()),
            _ => 1,
        })
        .sum()
}

/// What may stand anywhere.
const WORDS: [&str; 29] = [
    "fn", "async", "self", "mut", "impl", "for", "where", "pub", "unsafe", "const", "extern",
    "struct", "mod", "crate", "Self", "event", "run", "item", "on_sold", "on_order", "Sold",
    "Option", "str", "dyn", "_x", "r#type", "reply", "serde", "Ä",
];

// A quote alone is no token.
const PUNCTS: [char; 14] = [
    '&', '<', '>', ':', ',', ';', '#', '!', '=', '-', '|', '.', '?', '*',
];

fn token() -> impl Strategy<Value = TokenTree> {
    let word = |word: &str| match word.strip_prefix("r#") {
        Some(raw) => Ident::new_raw(raw, Span::call_site()),
        None => Ident::new(word, Span::call_site()),
    };
    let word = prop::sample::select(&WORDS[..]).prop_map(move |name| word(name).into());
    let punct = (prop::sample::select(&PUNCTS[..]), any::<bool>());
    let punct = punct.prop_map(|(punct, joint)| {
        let spacing = if joint {
            Spacing::Joint
        } else {
            Spacing::Alone
        };
        Punct::new(punct, spacing).into()
    });
    let literals = prop_oneof![
        any::<u8>().prop_map(Literal::u8_unsuffixed),
        ".{0,4}".prop_map(|text| Literal::string(&text)),
    ];
    let groups = prop::sample::select(&DELIMITERS[..])
        .prop_map(|delimiter| Group::new(delimiter, TokenStream::new()).into());
    prop_oneof![4 => word, 4 => punct, 1 => literals.prop_map(TokenTree::from), 1 => groups]
}

const DELIMITERS: [Delimiter; 4] = [
    Delimiter::Brace,
    Delimiter::Bracket,
    Delimiter::Parenthesis,
    Delimiter::None,
];

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    prop_oneof![
        at().prop_map(Mutation::Delete),
        at().prop_map(Mutation::Double),
        at().prop_map(Mutation::Swap),
        (at(), token()).prop_map(|(at, token)| Mutation::Insert(at, token)),
        (at(), prop::sample::select(&DELIMITERS[..]))
            .prop_map(|(at, delimiter)| Mutation::Wrap(at, delimiter)),
        at().prop_map(Mutation::Unwrap),
    ]
}

/// One of these, with up to five changes. So the first of the changed are nearly right.
fn mutated(sound: Vec<TokenStream>) -> impl Strategy<Value = TokenStream> {
    let changes = prop::collection::vec(mutation(), 0..6);
    (any::<Index>(), changes).prop_map(move |(which, changes)| {
        let tokens = sound[which.index(sound.len())].clone();
        changes
            .iter()
            .fold(tokens, |tokens, change| change.apply(tokens))
    })
}

fn blocks() -> Vec<TokenStream> {
    vec![
        quote! {
            impl Printer {
                fn on_sold(&self, item: &str, count: u32) {
                    print!("{item}");
                }
                fn helper(&self) {}
            }
        },
        quote! {
            #[allow(clippy::unused_self)]
            impl<'s, T: Debug + Send + Sync, const N: usize> Log<'s, T, N>
            where
                T: 's,
            {
                #![allow(dead_code)]
                const SIZE: usize = { N };
                type Item = T;
                fn on_sold(&self, event: &shop::Sold<'_>, run: &Run<'_>) -> io::Result<()> {}
                #[cfg(feature = "clock")]
                pub(crate) async fn on_tick(&self) {}
                macro_rules! nothing { () => {} }
            }
        },
        quote! {
            impl Counter {
                fn on_sold(&mut self, count: u32) { self.0 += count; }
                fn on_order(&self, id: &str) -> Verdict { Verdict::Yes }
                fn on_tick<'t>(self: &'t Self, r#run: &'t Run<'t>) {}
            }
        },
        quote! {
            impl Wrong {
                fn on_sld(&self) {}
                fn onsold(&self) {}
                fn on_sold<T>(self, (item, _): (T, T), itm: impl Debug) {}
                const unsafe extern "C" fn on_tick() {}
                async fn on_order(&mut self, #[cfg(a)] id: &str) { let x = ; }
            }
        },
    ]
}

/// None has a name of the set itself: such a struct is not kept, for it would be there twice.
fn modules() -> Vec<TokenStream> {
    vec![
        quote! {
            /// What happens in a shop.
            pub mod shop {
                use super::Thing;
                /// Something was sold.
                #[non_exhaustive]
                pub struct Sold<'a> {
                    /// What.
                    pub item: &'a str,
                    pub thing: Option<&'a Thing>,
                    pub count: u32,
                    pub r#type: [u8; 4],
                }
                #[deprecated(note = "old")]
                pub struct Tick;
                #[event(reply = super::Verdict)]
                pub(crate) struct Order<'a> { pub id: &'a str }
                fn helper() {}
            }
        },
        quote! {
            mod wrong {
                #![allow(dead_code)]
                struct Generic<T, const N: usize>(T);
                struct Two<'a, 'b> { run: &'a str, event: &'b str, owned: String }
                #[cfg(a)]
                #[event]
                #[event(reply = &'a str)]
                struct Broken { #[cfg(b)] x: Vec<u8>, inner: Two<'a> }
            }
        },
    ]
}

fn handler_args() -> Vec<TokenStream> {
    vec![
        quote!(),
        quote!(events = shop),
        quote!(events = a::b, events = self::c,),
    ]
}

fn events_args() -> Vec<TokenStream> {
    vec![
        quote!(),
        quote!(crate = a::callbacks, serde, adapt = a::adapt),
        quote!(sered, crate),
    ]
}

fn table() -> Vec<TokenStream> {
    let table = super::table();
    vec![
        quote!({ shop } { #table } {}),
        quote!({ ::a::b } { #[deprecated] #table } { on_lost }),
    ]
}

/// How often each word is in there, but for attributes `#[event(..)]`, which are done when they are read.
fn words(tokens: &TokenStream, into: &mut BTreeMap<String, usize>) {
    for tree in tokens.clone() {
        match tree {
            TokenTree::Group(group) if is_event(&group) => {}
            TokenTree::Group(group) => words(&group.stream(), into),
            TokenTree::Ident(word) => *into.entry(word.to_string()).or_default() += 1,
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

fn is_event(group: &Group) -> bool {
    group.delimiter() == Delimiter::Bracket && begins_with_event(group)
}

/// Through groups without delimiters: to a parser they are not there.
fn begins_with_event(group: &Group) -> bool {
    match group.stream().into_iter().next() {
        Some(TokenTree::Ident(word)) => word == "event",
        Some(TokenTree::Group(inner)) => {
            inner.delimiter() == Delimiter::None && begins_with_event(&inner)
        }
        _ => false,
    }
}

/// What is written can be read, if what was read could be.
fn can_be_read(read: &TokenStream, written: &TokenStream) -> Result<(), TestCaseError> {
    if syn::parse2::<syn::File>(read.clone()).is_ok() {
        let file = syn::parse2::<syn::File>(written.clone());
        prop_assert!(file.is_ok(), "{:?}: {written}", file.err());
    }
    Ok(())
}

proptest! {
    // The same inputs every time; for others, `PROPTEST_RNG_SEED=1 PROPTEST_CASES=50000`.
    #![proptest_config(ProptestConfig {
        cases: 4000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0),
        ..ProptestConfig::default()
    })]

    #[test]
    fn handlers(args in mutated(handler_args()), block in mutated(blocks())) {
        let written = handler::expand(args, &block);
        let mut rest = written.clone().into_iter();
        let kept: TokenStream = rest.by_ref().take(block.clone().into_iter().count()).collect();
        prop_assert_eq!(kept.to_string(), block.to_string());
        prop_assert!(rest.next().is_some(), "neither a call of the table nor an error");
        can_be_read(&block, &written)?;
    }

    #[test]
    fn handlers_with_their_table(table in mutated(table()), block in mutated(blocks())) {
        let written = handler::expand_with_table(quote!(#table #block));
        let file = syn::parse2::<syn::File>(written.clone());
        prop_assert!(file.is_ok(), "{:?}: {written}", file.err());
    }

    #[test]
    fn handlers_through_both_stages(block in mutated(blocks())) {
        let first = handler::expand(quote!(events = shop), &block);
        let mut first = first.into_iter().skip(block.clone().into_iter().count()).collect::<Vec<_>>();
        if let Some(TokenTree::Group(input)) = first.pop()
            && let mut input = input.stream().into_iter()
            && let Some(TokenTree::Group(set)) = input.next()
        {
            let (table, rest) = (super::table(), input.collect::<TokenStream>());
            let written = handler::expand_with_table(quote!(#set { #table } {} #rest));
            let file = syn::parse2::<syn::File>(written.clone());
            prop_assert!(file.is_ok(), "{:?}: {written}", file.err());
        }
    }

    #[test]
    fn sets(args in mutated(events_args()), module in mutated(modules())) {
        let written = events::expand(args, &module, "lib.rs:1:1");
        can_be_read(&module, &written)?;
        let (mut before, mut after) = Default::default();
        words(&module, &mut before);
        words(&written, &mut after);
        for (word, times) in before {
            let kept = after.get(&word).copied().unwrap_or_default();
            prop_assert!(times <= kept, "`{word}` is lost: {written}");
        }
    }
}

/// On a stack as large as the compiler's.
#[test]
fn deep_nesting() {
    let nested = || {
        let mut ty = quote!(u8);
        for _ in 0..50 {
            ty = quote!(Option<(#ty,)>);
        }
        let block = quote! { impl Deep { fn on_sold(&self, count: #ty) {} } };
        handler::expand(quote!(events = shop), &block);
        let table = super::table();
        let block = quote! { impl Deep { fn on_sold(&self, count: #ty); } };
        handler::expand_with_table(quote!({ shop } { #table } {} #block));
        let module = quote! { mod shop { struct Sold { count: #ty } } };
        events::expand(quote!(), &module, "lib.rs:1:1");
    };
    let thread = thread::Builder::new().stack_size(8 << 20);
    thread.spawn(nested).unwrap().join().unwrap();
}

/// A set of so many events, and a handler with as many methods, and others beside.
fn huge(events: usize, others: usize) -> [TokenStream; 3] {
    let event = |at| (format_ident!("on_event{at}"), format_ident!("Event{at}"));
    let (methods, names): (Vec<_>, Vec<_>) = (0..events).map(event).unzip();
    let others = (0..others).map(|at| format_ident!("other{at}"));
    let module =
        quote!(mod huge { #(pub struct #names<'a> { pub item: &'a str, pub count: u32 })* });
    let table = quote!({ huge } { #(#methods = #names ['_] { item, count })* } {});
    let block = quote! {
        impl Huge {
            #(async fn #methods(&self, item: &str, count: u32) -> io::Result<()> { self.does(item); })*
            #(fn #others(&self) -> u32 { 1 })*
        }
    };
    [module, table, block]
}

/// How much is done is told by what is allocated: timings of machines that do other things are not.
#[test]
fn what_is_done_grows_with_what_is_written() {
    let allocated = |events, others| {
        let [module, table, block] = huge(events, others);
        let signatures = strip_bodies(&block);
        let input = quote!(#table #signatures);
        [
            measure(|| drop(events::expand(quote!(), &module, "lib.rs:1:1"))),
            measure(|| drop(handler::expand(quote!(events = huge), &block))),
            measure(|| drop(handler::expand_with_table(input))),
        ]
        .map(|info| info.count_total)
    };
    let few = allocated(32, 32);
    let events = allocated(64, 64);
    let others = allocated(64, 500);
    // Twice as much, and a little more for what is looked up among more.
    for (few, many) in few.into_iter().zip(events) {
        assert!(2 * many < 5 * few, "{few}, then {many}");
    }
    // 4.4 times as many methods.
    for (few, many) in events.into_iter().zip(others) {
        assert!(many < 5 * few, "{few}, then {many}");
    }
}

/// As the first stage does.
fn strip_bodies(block: &TokenStream) -> TokenStream {
    let first = handler::expand(quote!(events = huge), block);
    let Some(TokenTree::Group(input)) = first.into_iter().last() else {
        panic!("no call of the table");
    };
    input.stream().into_iter().skip(1).collect()
}
