"""How the page of the API looks: light or dark as the reader's system is, contents beside it where there is room.

Colours are told apart by their words as well, and have a contrast of 4.5 to 1 and more in both schemes.
"""

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --line: #8885; --back: #fff; --front: #1d2229; --faint: #f3f5f7; --soft: #57606a;
  --link: #0a58ca; --get: #0a58ca; --post: #1a7037; --patch: #8a5300; --delete: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --back: #14171b; --front: #e3e6ea; --faint: #1e2329; --soft: #a0a8b2;
  --link: #7fb2ff; --get: #7fb2ff; --post: #6cc58a; --patch: #e0a85c; --delete: #ff9188; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; background: var(--back); color: var(--front); }
a { color: var(--link); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -100vw; }
.skip:focus { left: 1rem; top: .5rem; background: var(--back); padding: .5rem; z-index: 1; }
main { max-width: 62rem; padding: 1rem; min-width: 0; }
h1 { font-size: 1.6rem; line-height: 1.2; margin-top: .5rem; }
h2 { font-size: 1.35rem; margin: 3rem 0 0; padding-bottom: .25rem; border-bottom: 2px solid var(--line); }
h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
h3 a { color: inherit; text-decoration: none; }
h3 a:hover { text-decoration: underline; }
small { color: var(--soft); font-size: .875em; }
code, pre, .method { font-family: ui-monospace, monospace; font-size: .9em; }
.operation { padding: 1.5rem 0 1rem; border-bottom: 1px solid var(--line); }
.operation > p { margin: .5rem 0; }
.method { font-weight: 700; }
.get { color: var(--get); } .post { color: var(--post); }
.patch { color: var(--patch); } .delete { color: var(--delete); }
table { border-collapse: collapse; width: 100%; margin: .75rem 0; table-layout: fixed; }
caption { text-align: left; font-size: .8rem; font-weight: 700; color: var(--soft); text-transform: uppercase;
  letter-spacing: .04em; }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0; border-top: 1px solid var(--line);
  overflow-wrap: anywhere; font-weight: 400; }
th { width: 14rem; } td:nth-child(2) { width: 17rem; }
th em { font-style: normal; font-weight: 700; font-size: .75rem; color: var(--soft); }
details { margin: .5rem 0; }
summary { cursor: pointer; color: var(--link); padding: .25rem 0; }
pre { background: var(--faint); border: 1px solid var(--line); border-radius: 6px; padding: .75rem; overflow-x: auto;
  margin: .5rem 0; }
nav { padding: 1rem; font-size: .9rem; border-bottom: 1px solid var(--line); display: flex; flex-wrap: wrap;
  gap: .25rem 1.25rem; }
nav a { text-decoration: none; } nav a:hover { text-decoration: underline; }
nav .tag { font-weight: 700; display: inline-block; padding: .25rem 0; }
nav ul { display: none; list-style: none; margin: 0; padding: 0; }
@media (min-width: 64rem) {
  body { display: grid; grid-template-columns: 23rem minmax(0, 1fr); }
  nav { display: block; position: sticky; top: 0; height: 100vh; overflow-y: auto; border: 0;
    border-right: 1px solid var(--line); padding: 1.5rem 1rem; }
  nav ul { display: block; margin-bottom: .75rem; } nav li { padding: .15rem 0; overflow-wrap: anywhere; }
  nav li a { color: inherit; } nav .method { display: inline-block; min-width: 4.2em; font-size: .75rem; }
  main { padding: 1.5rem 2.5rem 6rem; }
}
@media (max-width: 40rem) {
  table, tbody, tr, th, td, caption { display: block; width: auto; }
  tr { border-top: 1px solid var(--line); padding: .4rem 0; }
  th, td, td:nth-child(2) { border: 0; padding: 0; width: auto; }
  td:empty { display: none; }
}
""".strip()
