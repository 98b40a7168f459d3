"""Formulas: what is one, what only looks like one, and how one is read without TeX."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.text.formula import begun, formula
from channels.text.latex import readable


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("$x$", "x"), ("$x^2 + y_1$", "x^2 + y_1"), ("$5$ apples", "5"), ("$3x+2$", "3x+2"), ("$n$th", "n"),
        ("$A$/$B$", "A"), ("$\\alpha$, so", "\\alpha"), ("$$x$$", "x"), ("\\(a_b\\)", "a_b"), ("\\[x\ny\\]", "x\ny"),
        ("$\\text{if it rains then}$", "\\text{if it rains then}"), ("$a \\$ b$", "a \\$ b"),
    ],
)  # fmt: skip
def test_a_formula(text: str, inside: str) -> None:
    found = formula(text, 0)
    assert found is not None and found[1] == inside


@pytest.mark.parametrize(
    "text",
    [
        "$5 and $10", "$5-$10", "$5 (or 5$)", "$1k-$2k", "$4.50/month, $6/year", "$HOME and $PATH", "$ x $", "$x $",
        "$a$b", "$$", "$$$$", "$x\n\ny$", "$x", "$`x`$", "\\(x", "$$a\n\nb$$", "$$a```b$$", "$10 plus some $tax$",
    ],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    assert formula(text, 0) is None


@pytest.mark.parametrize(
    ("text", "wait"),
    [("$x", True), ("$\\al", True), ("$5", True), ("$5 and", False), ("$ x", False), ("\\(", True), ("$$\nx", True),
     ("$$\n\n", False), ("$the words of", False), ("$x$", False)],
)  # fmt: skip
def test_what_may_become_one(text: str, wait: bool) -> None:
    assert begun(text, 0) is wait


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        ("x^2 + y_1", "x² + y₁"),
        ("\\frac{a}{b}", "a/b"),
        ("\\frac{-b \\pm \\sqrt{b^2-4ac}}{2a}", "(-b ± √(b²-4ac))/(2a)"),
        ("\\frac12", "1/2"),
        ("\\sqrt{x}", "√x"),
        ("\\sqrt[3]{x+1}", "∛(x+1)"),
        ("\\sum_{i=1}^{n} a_i", "∑ᵢ₌₁ⁿ aᵢ"),
        ("\\alpha \\times \\beta \\leq \\infty", "α × β ≤ ∞"),
        ("e^{i\\pi}", "e^(iπ)"),
        ("x_{max}", "xₘₐₓ"),
        ("x_Q", "x_Q"),
        ("\\mathbb{R}^n", "ℝⁿ"),
        ("\\text{if } x \\neq 0", "if x ≠ 0"),
        ("\\left( x \\right)", "( x )"),
        ("\\left. x \\right|", "x |"),
        ("a &= b \\\\ c &= d", "a = b\nc = d"),
        ("\\begin{aligned} a &= b \\end{aligned}", "a = b"),
        ("\\begin{array}{cc} 1 & 2 \\\\ 3 & 4 \\end{array}", "1 2\n3 4"),
        ("\\unknown{a_1} + b", "\\unknown{a₁} + b"),
        ("100\\%", "100%"),
        ("f'(x)", "f′(x)"),
        ("\\hat{x}", "x\u0302"),
        ("{{}}", "{{}}"),
    ],
)
def test_how_it_is_read(latex: str, text: str) -> None:
    assert readable(latex) == text


@pytest.mark.parametrize(
    "sign", ["^", "{", "\\frac", "\\sqrt", "_{", "\\not", "}", "\\left", "\\hat{", "^\\frac{"]
)
def test_a_formula_made_to_be_deep_is_shown(sign: str) -> None:
    assert readable(sign * 1000)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["\\frac", "\\sqrt", "{", "}", "^", "_", "\\", "Q", "[", "]", "\\left", ".", "&", "\n"]
        )
    )
)
def test_any_latex_is_shown(parts: list[str]) -> None:
    latex = "".join(parts)
    assert readable(latex).count("Q") == latex.count("Q")
