"""LaTeX commands and the Unicode characters that say the same; names as in LaTeX and amssymb."""

_NAMED = (
    "alpha=α beta=β gamma=γ delta=δ epsilon=ϵ varepsilon=ε zeta=ζ eta=η theta=θ vartheta=ϑ iota=ι kappa=κ "
    "lambda=λ mu=μ nu=ν xi=ξ omicron=ο pi=π varpi=ϖ rho=ρ varrho=ϱ sigma=σ varsigma=ς tau=τ upsilon=υ "
    "phi=ϕ varphi=φ chi=χ psi=ψ omega=ω Gamma=Γ Delta=Δ Theta=Θ Lambda=Λ Xi=Ξ Pi=Π Sigma=Σ Upsilon=Υ "
    "Phi=Φ Psi=Ψ Omega=Ω "
    "times=× div=÷ cdot=· cdots=⋯ ldots=… dots=… dotsc=… dotsb=⋯ vdots=⋮ ddots=⋱ pm=± mp=∓ ast=∗ star=⋆ "
    "circ=∘ bullet=• oplus=⊕ ominus=⊖ otimes=⊗ odot=⊙ dagger=† ddagger=‡ wedge=∧ vee=∨ land=∧ lor=∨ "
    "neg=¬ lnot=¬ cap=∩ cup=∪ setminus=∖ bmod=mod "
    "leq=≤ le=≤ leqslant=≤ geq=≥ ge=≥ geqslant=≥ neq=≠ ne=≠ equiv=≡ approx=≈ sim=∼ simeq=≃ cong=≅ "
    "propto=∝ ll=≪ gg=≫ prec=≺ succ=≻ subset=⊂ supset=⊃ subseteq=⊆ supseteq=⊇ subsetneq=⊊ in=∈ ni=∋ "
    "notin=∉ mid=∣ nmid=∤ parallel=∥ perp=⊥ vdash=⊢ models=⊨ doteq=≐ coloneqq=≔ triangleq=≜ "
    "to=→ rightarrow=→ leftarrow=← gets=← leftrightarrow=↔ uparrow=↑ downarrow=↓ Rightarrow=⇒ Leftarrow=⇐ "
    "Leftrightarrow=⇔ implies=⇒ impliedby=⇐ iff=⇔ mapsto=↦ longrightarrow=⟶ longleftarrow=⟵ "
    "Longrightarrow=⟹ longmapsto=⟼ hookrightarrow=↪ rightleftharpoons=⇌ nearrow=↗ searrow=↘ "
    "sum=∑ prod=∏ coprod=∐ int=∫ iint=∬ iiint=∭ oint=∮ bigcup=⋃ bigcap=⋂ bigoplus=⨁ bigotimes=⨂ "
    "partial=∂ nabla=∇ infty=∞ forall=∀ exists=∃ nexists=∄ emptyset=∅ varnothing=∅ aleph=ℵ hbar=ℏ ell=ℓ "
    "Re=ℜ Im=ℑ wp=℘ angle=∠ triangle=△ square=□ Box=□ blacksquare=■ qed=∎ therefore=∴ because=∵ "
    "prime=′ degree=° top=⊤ bot=⊥ checkmark=✓ "
    "langle=⟨ rangle=⟩ lfloor=⌊ rfloor=⌋ lceil=⌈ rceil=⌉ lvert=| rvert=| vert=| lVert=‖ rVert=‖ Vert=‖ "
    "lbrace={ rbrace=} lbrack=[ rbrack=] backslash=\\ colon=: "
    "sin=sin cos=cos tan=tan cot=cot sec=sec csc=csc arcsin=arcsin arccos=arccos arctan=arctan sinh=sinh "
    "cosh=cosh tanh=tanh log=log ln=ln lg=lg exp=exp min=min max=max sup=sup inf=inf lim=lim limsup=limsup "
    "liminf=liminf det=det dim=dim ker=ker deg=deg gcd=gcd arg=arg argmin=argmin argmax=argmax hom=hom Pr=Pr"
)
SYMBOLS = dict(pair.split("=", 1) for pair in _NAMED.split())

# What says how something looks, or how brackets grow, and nothing else.
_QUIET = (
    "left right middle big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr limits nolimits "
    "displaystyle textstyle scriptstyle nonumber notag hline centering"
)
SILENT = frozenset(_QUIET.split())
SPACES = {"quad": "  ", "qquad": "    ", ",": " ", ";": " ", ":": " ", " ": " ", "!": "", ">": " "}
# Around an argument that is shown as it is.
_SHOWN = (
    "text textbf textit textrm texttt textsf textnormal mathrm mathbf mathit mathsf mathtt boldsymbol bm mbox "
    "operatorname emph boxed mathop mathbin mathrel underbrace overbrace phantom tag label color"
)
PLAIN = frozenset(_SHOWN.split())
BLACKBOARD = dict(zip("CHNPQRZEF1", "ℂℍℕℙℚℝℤ𝔼𝔽𝟙", strict=True))
CALLIGRAPHIC = dict(zip("BEFHILMRLDNOP", "ℬℰℱℋℐℒℳℛℒ𝒟𝒩𝒪𝒫", strict=True))
ACCENTS = {"hat": "\u0302", "widehat": "\u0302", "bar": "\u0304", "overline": "\u0305", "vec": "\u20d7"}
ACCENTS |= {
    "tilde": "\u0303",
    "widetilde": "\u0303",
    "dot": "\u0307",
    "ddot": "\u0308",
    "underline": "\u0332",
}
ABOVE = dict(
    zip("0123456789+-=()aboinmxyzktTcdefghjlprsuvw", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᵒⁱⁿᵐˣʸᶻᵏᵗᵀᶜᵈᵉᶠᵍʰʲˡᵖʳˢᵘᵛʷ", strict=True)
)
ABOVE |= {"′": "′", "∗": "*", "*": "*", "∘": "°", "°": "°", "†": "†", "⊤": "ᵀ", " ": " "}
BELOW = dict(zip("0123456789+-=()aeoxhklmnpstijruv", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₒₓₕₖₗₘₙₚₛₜᵢⱼᵣᵤᵥ", strict=True))
