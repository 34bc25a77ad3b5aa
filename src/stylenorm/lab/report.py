"""The report: one page that needs nothing but itself."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from stylenorm.lab.catalogue import EXPERIMENTS
from stylenorm.lab.drawing import SVG_STYLE
from stylenorm.lab.experiment import Experiment, Size
from stylenorm.lab.results import Result
from stylenorm.lab.significance import Outcome

__all__ = ["report_page"]

_STYLE = """
:root{color-scheme:light dark;--page:#fff;--ink:#1f2328;--soft:#59636e;--card:#f6f8fa;--edge:#d1d9e0;
--yes:#1a7f37;--no:#b35900}
@media (prefers-color-scheme:dark){:root{--page:#0f1318;--ink:#e6e9ee;--soft:#9aa4af;--card:#171c23;
--edge:#303842;--yes:#56d364;--no:#f0a04b}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
main{max-width:58rem;margin:0 auto;padding:2.5rem 1.25rem 5rem}
h1{font-size:2rem;line-height:1.2;margin:0 0 .5rem}h2{font-size:1.35rem;line-height:1.3;margin:0 0 .25rem}
p{margin:.5rem 0}.soft{color:var(--soft)}small,.small{font-size:.875rem}
a{color:inherit}table{border-collapse:collapse;width:100%;margin:1.5rem 0}
th,td{text-align:left;padding:.45rem .75rem .45rem 0;border-bottom:1px solid var(--edge);vertical-align:top}
th{font-weight:600}section{margin:3.5rem 0 0;padding-top:1.5rem;border-top:1px solid var(--edge)}
.verdict{margin:1rem 0;padding:.75rem 1rem;background:var(--card);border-left:4px solid var(--no)}
.verdict.yes{border-left-color:var(--yes)}.verdict b{color:var(--no)}.verdict.yes b{color:var(--yes)}
td b{color:var(--no);white-space:nowrap}td b.yes{color:var(--yes)}
dl{display:grid;grid-template-columns:7rem 1fr;gap:.35rem 1rem;margin:1rem 0}dt{color:var(--soft)}dd{margin:0}
figure{margin:1.5rem 0}figure svg,figure img{width:100%;height:auto;display:block}
figure img{border-radius:4px}figcaption{color:var(--soft);font-size:.875rem;margin-top:.4rem}
details{margin:1rem 0}summary{cursor:pointer;color:var(--soft)}
pre{overflow-x:auto;background:var(--card);padding:1rem;border-radius:4px;font-size:.8rem}
@media (max-width:40rem){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}}
"""


def report_page(results: Mapping[str, Sequence[Result]]) -> str:
    """Return the page: a table of verdicts, then a section for each result.

    Args:
        results: by name of the experiment, the one that counts first, those of other sizes beside it;
            experiments without any are listed with the command that runs them.
    """
    sections = [_section(EXPERIMENTS[name](), each) for name, of in results.items() for each in of]
    rows = "".join(_row(number, name, results.get(name, ())) for number, name in enumerate(EXPERIMENTS, 1))
    words = Counter(of[0].verdict().words for of in results.values())
    counts = ", ".join(f"{words[outcome]} {outcome}" for outcome in Outcome if words[outcome])
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>stylenorm: the laboratory</title><style>{_STYLE}{SVG_STYLE}</style></head><body><main>",
        "<h1>The laboratory</h1>",
        "<p>What the papers on instance normalization found, run again. Each verdict is computed from the "
        "numbers by a rule, with how often the rule would be wrong; a finding that does not come out is a "
        f"result, too, and undecided is what so few seeds cannot tell. Of {len(results)}: {counts}.</p>",
        "<table><thead><tr><th></th><th>question</th><th>verdict</th></tr></thead>",
        f"<tbody>{rows}</tbody></table>",
        *sections,
        "</main></body></html>\n",
    ]
    return "".join(parts)


def _row(number: int, name: str, results: Sequence[Result]) -> str:
    question = escape(EXPERIMENTS[name].question)
    if not results:
        return (
            f'<tr><td>{number}</td><td>{question}</td><td class="soft small">not run yet: '
            f"<code>stylenorm lab run {name}</code></td></tr>"
        )
    cells = []
    for result in results:
        verdict = result.verdict()
        css = ' class="yes"' if verdict.came_out else ""
        cells.append(f'<b{css}>{verdict.words}</b> <span class="soft small">{result.origin}</span>')
    words = "<br>".join(cells)
    link = f'<a href="#{results[0].folder.name}">{question}</a>'
    return f"<tr><td>{number}</td><td>{link}</td><td>{words}</td></tr>"


def _section(experiment: Experiment, result: Result) -> str:
    verdict = result.verdict()
    css = " yes" if verdict.came_out else ""
    tiny = (
        "<p><strong>Tiny size: this only shows that the experiment runs.</strong></p>"
        if result.size is Size.TINY
        else ""
    )
    parts = [
        f'<section id="{result.folder.name}"><h2>{escape(experiment.title)}</h2>',
        f'<p class="soft">{escape(experiment.question)}</p>{tiny}',
        f'<p class="soft small">{result.origin}</p>',
        f'<div class="verdict{css}"><b>{verdict.words.capitalize()}</b>: {escape(verdict.text)}</div>',
        f'<p class="small">{escape(verdict.reasons)}</p>',
        _definitions(
            {
                "claim": experiment.claim,
                "paper": experiment.paper,
                "method": experiment.method,
                "rule": experiment.rule,
            }
        ),
    ]
    parts += [
        f"<figure>{figure.svg}<figcaption>{escape(figure.caption)}</figcaption></figure>"
        for figure in result.figures()
    ]
    for path in result.pictures.values():
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        alt = escape(f"{experiment.title}: {path.stem}")
        parts.append(f'<figure><img src="data:image/jpeg;base64,{data}" alt="{alt}"></figure>')
    parts.append(f"<details><summary>how it was run</summary>{_how(result.content)}</details></section>")
    return "".join(parts)


def _how(content: Mapping[str, Any]) -> str:
    machine, material, arms = content["machine"], content["material"], content["arms"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    shown = {
        "size": content["size"],
        "settings": ", ".join(_flat(content["settings"])),
        "material": f"{material['photos']}; painting {material['paintings'][0]}; features "
        f"{', '.join(material['features'])}",
        "machine": f"{machine['cpu']}, {machine['cores']} cores, {machine['device']}, {machine['system']}",
        "versions": f"Python {machine['python']}, {versions}",
        "took": f"{arms['cpu_s']:.0f} s of processor time for {arms['run'] + arms['found_finished']} arms",
    }
    return _definitions(shown)


def _flat(settings: Mapping[str, Any]) -> Iterable[str]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        else:
            yield f"{key.replace('_', ' ')} {value}"


def _definitions(texts: Mapping[str, str]) -> str:
    rows = "".join(f"<dt>{escape(key)}</dt><dd>{escape(text)}</dd>" for key, text in texts.items())
    return f'<dl class="small">{rows}</dl>'
