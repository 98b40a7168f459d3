"""A hundred answers as models write them at their worst, by what is bad about them."""

PROSE = "The quick brown fox jumps over the lazy dog, as it does on every day of the week. "
FAMILY = "👨\u200d👩\u200d👧\u200d👦"
TICKS = "```"

NASTY: dict[str, str] = {
    # -- fences --
    "fence in a longer fence": f"````markdown\n{TICKS}py\nprint(1)\n{TICKS}\n````\nafter",
    "fence in an equal fence": f"{TICKS}markdown\n# Title\n{TICKS}py\nprint(1)\n{TICKS}\n{TICKS}\nafter",
    "fence never closed": f"Here:\n{TICKS}python\ndef f(x):\n    return x ** 2\n\nprint(f(2))",
    "fence closed by too few": f"````\n{TICKS}\nstill code\n",
    "fence of waves": "~~~js\nlet a = `x${1}`;\n~~~\nend",
    "fence closed by waves": f"{TICKS}\ncode\n~~~\nmore code\n{TICKS}",
    "fence within a list": f"1. Install:\n   {TICKS}bash\n   pip install x\n   {TICKS}\n"
    f"2. Run:\n   {TICKS}bash\n   x run\n   {TICKS}\n",
    "fence in a list, badly indented": f"1. Install:\n{TICKS}bash\npip install x\n{TICKS}\n2. Run it\n",
    "fence in a list with an empty line": f"- a\n  {TICKS}py\n  x = 1\n\n  y = 2\n  {TICKS}\n- b\n\nend",
    "fence in a list, never closed": f"- a\n  {TICKS}py\n  x = 1\n\nText after all **bold**",
    "fence in a quote": f"> {TICKS}py\n> x = **1**\n> {TICKS}\n> and _so_ on",
    "fence with spaces before": f"  {TICKS}py\n  x = 1\n\ny = 2\n  {TICKS}\nafter",
    "fence after a list and a heading": f"1. abc\n# h\n  {TICKS}\n  x\n\ny **no**\n  {TICKS}\nend",
    "fence with attributes": f'{TICKS}python {{linenos=true title="a.py"}}\nx = 1\n{TICKS}',
    "fence with a path": f"{TICKS}src/app/main.py:12\nx = 1\n{TICKS}",
    "fence at once after text": f"Text{TICKS}py\nx\n{TICKS}",
    "two fences without a line between": f"{TICKS}\na\n{TICKS}\n{TICKS}\nb\n{TICKS}",
    "the same fence twice": f"{TICKS}py\nx\n{TICKS}\n\n{TICKS}py\nx\n{TICKS}\n",
    "fence of ticks in code": f"{TICKS}md\nUse `` ` `` and ``` in text\n{TICKS}\nend",
    "empty fences": f"{TICKS}\n{TICKS}\n\n{TICKS}py\n\n{TICKS}\nend",
    "diff": f"{TICKS}diff\n- old **line**\n+ new __line__\n@@ -1,2 +1,2 @@\n{TICKS}",
    "code of tabs": f"{TICKS}make\nall:\n\techo $(X) $$HOME\n\t@true\n{TICKS}",
    "a long line of code": f"{TICKS}json\n" + '{"k": "' + "v" * 5000 + '"}\n' + TICKS,
    "a hundred lines of code": f"{TICKS}python\n"
    + "".join(f"    value_{n} = {n} * 2\n" for n in range(100))
    + TICKS,
    # -- inline code --
    "code with ticks": "Use ``a`b`` and `` ` `` or `a``b`.",
    "code never closed": "Call `main() and then go **on**",
    "code over a line end": "This `code goes\nover` a line",
    "code with marks": "`**not bold**` and `||not hidden||` and `$x$`",
    "code in bold in a list": "- **`--flag`**: does _this_\n- **`-x`**: that",
    # -- styles --
    "bold never closed": "This is **bold and never closed, on and on",
    "bold over paragraphs": "**bold\n\nnot bold** any more",
    "bold in italic": "*a **b** c* and ***both*** and **_mixed_**",
    "stars as signs": "2 * 3 * 4 = 24, a*b*c, **, * and 5 ** 2",
    "lines in names": "snake_case_name, __init__, _private_, __dunder__ and a__b__c",
    "struck": "~~gone~~ ~one~ ~~~three~~~ and ~~never closed",
    "styles across": "**a _b** c_ ~~d **e~~ f**",
    "bold with spaces": "** not bold ** and __ not __ and **bold **not",
    "bold with quotes": '**"quoted"** and "**bold**" and (**x**)',
    "bold in Chinese": "这是**重点**内容，还有**「引用」**和*斜体*。",
    "bold beside letters": "un**frigging**believable and 1**2**3",
    "many stars": "*" * 50 + " x " + "*" * 7 + "y" + "*" * 7,
    "300 entities": " ".join(f"**b{n}** `c{n}` _i{n}_" for n in range(100)),
    # -- spoilers --
    "spoiler": "The end: ||he **dies** at `once`|| really",
    "spoiler never closed": "The end: ||he dies",
    "or": "if (a || b || c) and a||b||c then ||x||",
    "spoiler over lines": "||first\nsecond|| third",
    # -- formulas --
    "formula in text": r"The sum $\sum_{i=1}^n a_i * b_i$ and $x_1 * y_1 * z_1$ are _here_.",
    "formula of its own": "So\n\n$$\nE = mc^2 * \\frac{a_1}{b_2}\n$$\n\nand on.",
    "formula on one line": "So $$x^2 + y^2 = z^2$$ and on\n\n$$a_b$$\n",
    "formula in brackets": r"Inline \(a_b * c_d\) and \[ \int_0^1 x\,dx \] here",
    "formula with lines": "\\[\n\\begin{aligned}\n# a &= b \\\\\n- c &= d \\\\\n> e &= f\n\\end{aligned}\n\\]\nend",
    "formula in a list": "1. First: $a_1$\n   $$\n   \\sqrt{x}\n   $$\n2. Second: \\(b_2\\)",
    "formula never closed": "Costs $x_1 and _more_ of it\n\n$$\nx",
    "formula with unknown commands": r"$\foo{a} \mathfrak{g} \begin{cases} a & x \\ b & y \end{cases}$",
    "money": "It costs $5 and $10, US$3, $4.50/month, $1k-$2k or 5$ and 6$.",
    "shell": "Set $HOME and $PATH, `$x`, ${y} and $$ for the *pid*",
    # -- links --
    "link with brackets": "[wiki](https://en.wikipedia.org/wiki/A_(b)_c) and [a [b] c](https://x.org)",
    "link with a title": "[a](https://x.org/a_b \"A 'title'\") [b](<https://x.org/a b>) [c](https://x.org (t))",
    "link never closed": "See [the page](https://example.org/a_very_long_",
    "link to script": "[click](javascript:alert(1)) [b](vbscript:x) [c](data:text/html;base64,AAAA)",
    "link to Telegram": "[user](tg://user?id=1) [join](tg://resolve?domain=x) <tg://user?id=2>",
    "link that lies": "[https://bank.example](https://evil.example) [bank.example](https://evil.example)",
    "links in bold": "**[bold](https://x.org/a_b)** and [**bold**](https://x.org) and [`code`](https://x.org)",
    "autolinks": "<https://x.org/a_b*c> https://x.org/a_b_c http://y.org/**b** <me@x.org> www.x.org/_a_",
    "reference links": 'See [this][1] and [that].\n\n[1]: https://x.org/a "T"\n[that]: https://y.org\n',
    "footnotes": "A claim[^1] and more[^note].\n\n[^1]: The *source*.\n[^note]: Another\n",
    "citations": "As shown [1], [2, 3] and [4](https://x.org) and 【5†source】",
    "images": "![a cat](https://x.org/cat.png) ![](https://x.org/i.png) [![b](https://x.org/b.png)](https://x.org)",
    "brackets that are none": "array[0], f(x)[1](y), [ ] and [x], a [long label that never "
    "becomes a link at all, as it goes on and on",
    "exclamations": "Wow! [a](https://x.org)! Really! ![b](c)",
    # -- lists --
    "deep list": "\n".join("  " * n + f"- level {n} **b**" for n in range(9)),
    "too deep a list": "\n".join("  " * n + f"- level {n}" for n in range(70)),
    "tasks": "- [ ] open\n- [x] **done**\n  - [ ] inner\n1. [X] numbered\n- [y] none\n* [ ]\n",
    "list without a space": "-one\n-two\n1.three\n*four\n#five\n>six",
    "list with paragraphs": "- one\n\n  more of one\n\n- two\n\n      code in two\n",
    "mixed markers": "- a\n+ b\n* c\n1. d\n2) e\n",
    "numbers that are none": "1986. A great year.\n\n3.14 is pi\n\n10 is ten\n- 5 degrees",
    "deep quotes": ">>> three\n>> two\n> one\nlazy **bold**\n\n" + ">" * 90 + " deep",
    "list in a quote in a list": "- a\n  > - b\n  >   > c `d`\n- e",
    # -- tables --
    "table": "| Name | Value |\n|:-----|------:|\n| `a` | **1** |\n| b | [x](https://x.org) |\n\nafter",
    "table without edges": "Name | Age\n--- | ---\nAnn | 30\nBo | 4\n\nafter",
    "table broken": "| a | b |\n| c | d |\n|---|\n| e",
    "table with uneven rows": "| a | b |\n|---|---|\n| 1 |\n| 1 | 2 | 3 |\n|\n| x | y",
    "table that is wide": "| Feature | Description |\n|---|---|\n| one | "
    + PROSE
    + " |\n| two | **"
    + PROSE.strip()
    + "** |\n",
    "table with pipes": "| a | b |\n|---|---|\n| `x \\| y` | ||s|| |\n| a \\| b | c |\n",
    "table in a list": "1. See:\n\n   | a | b |\n   |---|---|\n   | 1 | 2 |\n2. End",
    "table of signs": "| 名前 | 値 |\n|---|---|\n| 東京 | 😀 |\n| a<br>b | &amp; |\n",
    "table after text": "Text before:\n| a | b |\n|---|---|\n| 1 | 2 |\ntext after",
    # -- blocks --
    "underlined headings": "Title\n=====\n\nSecond\n---\n\ntext",
    "headings": "# One **b**\n## Two `c`\n####### Seven\n#none\n### Three ###\n###### Six [a](https://x.org)",
    "rules": "a\n\n---\n\n* * *\n___\nb\n---\n",
    "front matter": "---\ntitle: A *b*\ntags: [x, y]\n---\n\n# Text\n",
    "html": "<details><summary>More</summary>\n\n**bold**\n\n</details>\n<br/>List<String> a < b > c <b>x</b>",
    "html comments": "a <!-- hidden **x** --> b\n\n<!--\nmany lines\n-->\nc",
    "html attributes": '<a href="https://x.org" target=_blank>x</a> and <img src="i.png"> <p\nclass="y">',
    # -- characters --
    "entities": "&lt;b&gt; &amp;amp; &copy; &#35; &#x1F600; &nope; AT&T &quot",
    "controls": "a\x00b\x07c\x1b[31mred\x1b[0m \x0bd\x0ce\u2028f\u2029g\r\nh\ri",
    "right to left": "שלום **עולם** و`كود` English \u202eesrever\u202c \u2067iso\u2069 [קישור](https://x.org)",
    "invisible": "a\u200bb\u2060c\ufeffd \u200b**\u200bx**\u200b `\u200b` [\u200b](https://x.org)",
    "combining": "e\u0301" * 40
    + " Z\u0351\u036b\u0343a\u0312\u0308l\u0300g\u0301o **a\u030a** "
    + "x"
    + "\u0301" * 300,
    "families": ("**" + FAMILY * 20 + "** ") * 60,
    "flags and tones": "🇩🇪🇫🇷" * 300 + "👍🏽" * 400 + "1️⃣" * 100,
    "surrogates": "a\ud83d b\ude00 \ud83d\ude00 **\udfff**",
    "mentions": "@everyone @here <@123> <@!4> <@&5> <#6> </cmd:7> <:e:8> <t:1700000000:R> @name #tag /cmd",
    "escapes": r"\*no\* \_no\_ \`no\` \[no\](x) \# \> \\ \| C:\new\table \$5 \~",
    "small print": "-# small\n\n> -# small in a quote\n\n-#none",
    # -- sizes --
    "a long word": "x" * 9000,
    "long words of marks": "_" * 3000 + "a" + "*" * 3000,
    "many short paragraphs": "\n\n".join(f"Paragraph {n} with **bold {n}**." for n in range(120)),
    "a long list": "\n".join(f"{n}. Step number {n} with `code_{n}` and **bold**" for n in range(1, 121)),
    "a long quote": "\n".join("> " + PROSE for _ in range(70)),
    "long prose": (PROSE * 8 + "\n\n") * 12,
    "only marks": "** __ ~~ || ` ``` $ $$ [ ]( ![ > # - 1. | \\",
    "nothing": "\u200b \n\n\t\u2060",
}
