"""Makes ``/docs``, one plain page that lists the server's routes from ``/openapi.json``. The page loads nothing else."""

from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
section { border-top: 1px solid; padding: 0.5rem 0 1rem; }
h2 { font: bold 1.1rem ui-monospace, monospace; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; margin: 0.5rem 0; }
th, td { text-align: left; vertical-align: top; padding: 0.2rem 1rem 0.2rem 0; }
code { overflow-wrap: anywhere; }
"""


def add_reference(app: FastAPI) -> None:
    """Adds ``/docs``."""

    @app.get("/docs", include_in_schema=False)
    async def reference() -> HTMLResponse:
        nothing_else = "default-src 'none'; style-src 'unsafe-inline'"
        return HTMLResponse(page(app.openapi()), headers={"Content-Security-Policy": nothing_else})


def page(api: dict[str, Any]) -> str:
    """Returns the HTML page of an OpenAPI description."""
    about = api["info"]
    operations = [
        _operation(api, method, path, operation)
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
    ]
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(about["title"])}: what it can be asked</title><style>{_STYLE}</style></head>
<body>
<main>
<h1>{escape(about["title"])} {escape(about["version"])}</h1>
<p>{escape(about.get("summary", ""))}</p>
<p>Programs read the same from <a href="openapi.json">openapi.json</a>. The live talk over <code>WS talk</code> is a WebSocket,
which OpenAPI does not describe: docs/live.md does.</p>
{"".join(operations)}
</main>
</body>
</html>
"""


def _operation(api: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    fields = [
        _row(f"{one['name']} ({one['in']})", one["schema"], one.get("required", False), one.get("description", ""))
        for one in operation.get("parameters", [])
    ]
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(api, content["schema"])
        needed = schema.get("required", [])
        fields += [
            _row(f"{name} ({kind})", one, name in needed, one.get("description", ""))
            for name, one in schema.get("properties", {}).items()
        ]
    answers = [_answer(api, code, answer) for code, answer in operation["responses"].items()]
    head = "<tr><th>field<th>what<th>values</tr>"
    described = escape(operation.get("description", operation.get("summary", "")))
    return (
        f"<section><h2>{method.upper()} {escape(path)}</h2><p>{described}</p>"
        + (f"<table>{head}{''.join(fields)}</table>" if fields else "")
        + f"<table><tr><th>answer<th>what<th>content</tr>{''.join(answers)}</table></section>"
    )


def _row(name: str, schema: dict[str, Any], needed: bool, described: str) -> str:
    values = _kind(schema) + (", needed" if needed else "")
    if schema.get("default") is not None:
        values += f", else {schema['default']}"
    return f"<tr><td><code>{escape(name)}</code><td>{escape(described)}<td>{escape(values)}</tr>"


def _answer(api: dict[str, Any], code: str, answer: dict[str, Any]) -> str:
    told = []
    for kind, content in answer.get("content", {}).items():
        properties = _resolved(api, content.get("schema", {})).get("properties", {})
        told.append(f"{kind} {{{', '.join(properties)}}}" if properties else kind)
    described = answer.get("description", "")
    return f"<tr><td>{escape(code)}<td>{escape(described)}<td><code>{escape('; '.join(told))}</code></tr>"


def _resolved(api: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema behind a reference; if it is a list, the schema of its items."""
    if schema.get("type") == "array":
        schema = schema.get("items", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    return api["components"]["schemas"][name] if name else schema


def _kind(schema: dict[str, Any]) -> str:
    """Says in a few words which values a field takes."""
    first = next((one for one in schema.get("anyOf", []) if one.get("type") != "null"), schema)
    kind = "file" if "contentMediaType" in first or first.get("format") == "binary" else first.get("type", "any")
    bounds = [f"{word} {int(first[key])}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in first]
    return " ".join([kind, *bounds])
