"""Runs a scenario with version 1 of the Python client library (legacy era) and prints everything the server said,
as canonical JSON.

    python client1.py < {"target": …, "steps": […]}

Its neighbours do the same with other libraries; all read the same scenarios (README.md beside this file).
"""

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager

import httpx
from mcp import ClientSession, McpError, StdioServerParameters, types
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

heard = []


async def sample(context, params):
    content = [m.content.model_dump(mode="json", by_alias=True, exclude_none=True) for m in params.messages]
    text = types.TextContent(type="text", text=f"sampled: {json.dumps(content)}")
    return types.CreateMessageResult(role="assistant", model="test-model", stopReason="endTurn", content=text)


async def elicit(context, params):
    return types.ElicitResult(action="decline")


async def roots(context):
    return types.ListRootsResult(roots=[types.Root(uri="file:///srv/project", name="project")])


async def listen(message):
    if isinstance(message, types.ServerNotification):
        heard.append(plain(message.root))


def plain(value):
    """What the server said, without what the library made up."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return value


async def wait_for(method, count):
    async with asyncio.timeout(20):
        while len(matching := [n for n in heard if n["method"] == method]) < count:
            await asyncio.sleep(0.01)
    return matching[:count]


def reference(ref):
    if ref["type"] == "ref/prompt":
        return types.PromptReference(type="ref/prompt", name=ref["name"])
    return types.ResourceTemplateReference(type="ref/resource", uri=ref["uri"])


async def do(client, step, on_progress):
    match step["do"]:
        case "ping":
            return await client.send_ping()
        case "list_tools":
            return await client.list_tools()
        case "call":
            return await client.call_tool(step["tool"], step.get("arguments"), progress_callback=on_progress)
        case "list_resources":
            return await client.list_resources()
        case "list_resource_templates":
            return await client.list_resource_templates()
        case "read_resource":
            return await client.read_resource(step["uri"])
        case "subscribe":
            return await client.subscribe_resource(step["uri"])
        case "unsubscribe":
            return await client.unsubscribe_resource(step["uri"])
        case "list_prompts":
            return await client.list_prompts()
        case "get_prompt":
            return await client.get_prompt(step["name"], step.get("arguments"))
        case "complete":
            return await client.complete(reference(step["ref"]), step["argument"])
        case "set_level":
            return await client.set_logging_level(step["level"])
        case "await":
            return await wait_for(step["method"], step.get("count", 1))
        case other:
            raise SystemExit(f"unknown step {other}")


async def run(client, step):
    progress = []

    async def on_progress(done, total, message):
        if done < total:  # as in the other scripts
            progress.append({"progress": done, "total": total, "message": message})

    said = {"step": step}
    try:
        said["result"] = plain(await do(client, step, on_progress if step.get("progress") else None))
    except McpError as error:
        said["error"] = {"code": error.error.code, "message": error.error.message}
    if step.get("progress"):
        said["progress"] = progress
    return said


@asynccontextmanager
async def streams(target):
    if "url" in target:
        async with httpx.AsyncClient(headers=target.get("headers", {}), timeout=60) as http_client:
            async with streamable_http_client(target["url"], http_client=http_client) as (read, write, _):
                yield read, write
    else:
        program, *arguments = target["command"]
        environment = {**os.environ, **target.get("env", {})}
        server = StdioServerParameters(command=program, args=arguments, env=environment, cwd=target.get("cwd"))
        async with stdio_client(server) as (read, write):
            yield read, write


async def main():
    asked = json.load(sys.stdin)
    async with streams(asked["target"]) as (read, write):
        client = ClientSession(
            read,
            write,
            client_info=types.Implementation(name="python-client", version="1.0.0"),
            sampling_callback=sample,
            elicitation_callback=elicit,
            list_roots_callback=roots,
            message_handler=listen,
        )
        async with client:
            server = await client.initialize()
            report = {
                "server": {
                    "version": server.protocolVersion,
                    "info": plain(server.serverInfo),
                    "capabilities": plain(server.capabilities),
                    "instructions": server.instructions,
                },
                "steps": [await run(client, step) for step in asked["steps"]],
            }
    print(json.dumps(report, indent=1, sort_keys=True, ensure_ascii=False))


asyncio.run(main())
