"""Runs a scenario with version 2 of the Python client library and prints everything the server said, as canonical JSON.

    python client2.py < {"target": …, "era": "legacy" | "modern" | "auto", "steps": […]}

Its neighbours do the same with other libraries; all read the same scenarios (README.md beside this file).
"""

import asyncio
import json
import os
import sys
import warnings
from contextlib import AsyncExitStack

import httpx2
import mcp_types as types
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import ResourceUpdated, ToolsListChanged

warnings.simplefilter("ignore")  # some methods are deprecated in the newest revision, and still asked for here

heard = []
hearing = []
listening = AsyncExitStack()


async def sample(context, params):
    content = [m.content.model_dump(mode="json", by_alias=True, exclude_none=True) for m in params.messages]
    text = types.TextContent(type="text", text=f"sampled: {json.dumps(content)}")
    return types.CreateMessageResult(role="assistant", model="test-model", stop_reason="endTurn", content=text)


async def elicit(context, params):
    return types.ElicitResult(action="decline")


async def roots(context):
    return types.ListRootsResult(roots=[types.Root(uri="file:///srv/project", name="project")])


async def listen(message):
    if hasattr(message, "method") and not hasattr(message, "id"):
        heard.append(plain(message))


async def hear(subscription):
    async for event in subscription:
        match event:
            case ResourceUpdated():
                heard.append({"method": "notifications/resources/updated", "params": {"uri": event.uri}})
            case ToolsListChanged():
                heard.append({"method": "notifications/tools/list_changed"})


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
        case "listen":
            wanted = client.listen(tools_list_changed=step["tools"], resource_subscriptions=step["resources"])
            subscription = await listening.enter_async_context(wanted)
            hearing.append(asyncio.create_task(hear(subscription)))
            return subscription.honored
        case "hang_up":
            for task in hearing:
                task.cancel()
            return await listening.aclose()
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
    except MCPError as error:
        said["error"] = {"code": error.error.code, "message": error.error.message}
    if step.get("progress"):
        said["progress"] = progress
    return said


def transport(target, http_client):
    if "url" in target:
        return streamable_http_client(target["url"], http_client=http_client)
    program, *arguments = target["command"]
    environment = {**os.environ, **target.get("env", {})}
    return StdioServerParameters(command=program, args=arguments, env=environment, cwd=target.get("cwd"))


async def main():
    asked = json.load(sys.stdin)
    target = asked["target"]
    async with httpx2.AsyncClient(headers=target.get("headers", {}), timeout=60) as http_client:
        client = Client(
            transport(target, http_client),
            mode={"modern": "2026-07-28"}.get(asked["era"], asked["era"]),
            cache=None,
            client_info=types.Implementation(name="python-client", version="1.0.0"),
            sampling_callback=sample,
            elicitation_callback=elicit,
            list_roots_callback=roots,
            message_handler=listen,
        )
        async with client:
            report = {
                "server": {
                    "version": client.protocol_version,
                    "info": plain(client.server_info),
                    "capabilities": plain(client.server_capabilities),
                    "instructions": client.instructions,
                },
                "steps": [await run(client, step) for step in asked["steps"]],
            }
    print(json.dumps(report, indent=1, sort_keys=True, ensure_ascii=False))


asyncio.run(main())
