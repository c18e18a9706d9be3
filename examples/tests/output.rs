//! What the examples print.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// The output of an example, which cargo has built beside this test.
fn output(example: &str, args: &[&str]) -> String {
    let deps = env::current_exe().unwrap();
    let target = deps.ancestors().nth(2).map(PathBuf::from).unwrap();
    let program = target.join("examples").join(example);
    let program = program.with_extension(env::consts::EXE_EXTENSION);
    let output = Command::new(&program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn async_callbacks() {
    let english = include_str!("../../tests/seed/expected.en.txt");
    let chinese = include_str!("../../tests/seed/expected.zh.txt");
    let cases = [
        (&[][..], english, "Why don't scientists trust atoms? ", 14),
        (&["--lang", "zh"], chinese, "为什么科学家不相信原子？", 12),
    ];
    for (args, handlers, text, tokens) in cases {
        let output = output("async_callbacks", args);
        let result = output
            .strip_prefix(handlers)
            .unwrap_or_else(|| panic!("{output}"));
        let result: callbacks::LlmResult = serde_json::from_str(result).unwrap();
        assert!(result.text().starts_with(text), "{result:?}");
        let message = result.generations[0][0].message.as_ref().unwrap();
        assert_eq!(message.text(), result.text());
        assert_eq!(result.usage().output_tokens, Some(tokens));
        assert_eq!(
            result.llm_output.model_name.as_deref(),
            Some("gpt-3.5-turbo")
        );
    }
}
