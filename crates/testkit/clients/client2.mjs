// Runs a scenario with version 2 of the TypeScript client library and prints everything the server said,
// as canonical JSON.
//
//   node client2.mjs NODE_MODULES < {"target": …, "era": "legacy" | "modern" | "auto", "steps": […]}
//
// Its neighbours do the same with other libraries; all read the same scenarios (README.md beside this file).
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

// The library lives in another folder than this file, so plain `import` would not find it.
const require = createRequire(pathToFileURL(join(process.argv[2], "x.js")));
// Resolved for `require`, loaded as the module beside it: a module of its own kind is what programs use.
const load = (name) => import(pathToFileURL(require.resolve(`@modelcontextprotocol/${name}`).replace(/\.cjs$/, ".mjs")));
const { Client, StreamableHTTPClientTransport } = await load("client");
const { StdioClientTransport } = await load("client/stdio");

const { target, era, steps } = JSON.parse(readFileSync(0, "utf8"));

const client = new Client(
  { name: "typescript-client", version: "1.0.0" },
  {
    capabilities: { sampling: {}, elicitation: {}, roots: { listChanged: true } },
    versionNegotiation: { mode: era === "modern" ? { pin: "2026-07-28" } : era },
  },
);
client.setRequestHandler("sampling/createMessage", (request) => ({
  role: "assistant",
  model: "test-model",
  stopReason: "endTurn",
  content: { type: "text", text: `sampled: ${JSON.stringify(request.params.messages.map((m) => m.content))}` },
}));
client.setRequestHandler("elicitation/create", () => ({ action: "decline" }));
client.setRequestHandler("roots/list", () => ({ roots: [{ uri: "file:///srv/project", name: "project" }] }));

let subscription;
const heard = [];
client.fallbackNotificationHandler = async (notification) => {
  heard.push({ method: notification.method, params: notification.params });
};

const transport = target.url
  ? new StreamableHTTPClientTransport(new URL(target.url), { requestInit: { headers: target.headers ?? {} } })
  : new StdioClientTransport({
      command: target.command[0],
      args: target.command.slice(1),
      env: { ...process.env, ...target.env },
      cwd: target.cwd,
      stderr: "inherit",
    });

const does = {
  ping: () => client.ping(),
  list_tools: () => client.listTools(),
  call: (step, options) => client.callTool({ name: step.tool, arguments: step.arguments }, options),
  list_resources: () => client.listResources(),
  list_resource_templates: () => client.listResourceTemplates(),
  read_resource: (step) => client.readResource({ uri: step.uri }),
  subscribe: (step) => client.subscribeResource({ uri: step.uri }),
  unsubscribe: (step) => client.unsubscribeResource({ uri: step.uri }),
  list_prompts: () => client.listPrompts(),
  get_prompt: (step) => client.getPrompt({ name: step.name, arguments: step.arguments }),
  complete: (step) => client.complete({ ref: step.ref, argument: step.argument }),
  set_level: (step) => client.setLoggingLevel(step.level),
  listen: async (step) => {
    subscription = await client.listen({ toolsListChanged: step.tools, resourceSubscriptions: step.resources });
    return subscription.honoredFilter;
  },
  hang_up: () => subscription.close(),
  await: async (step) => {
    const deadline = Date.now() + 20_000;
    const matching = () => heard.filter((n) => n.method === step.method);
    while (matching().length < (step.count ?? 1)) {
      if (Date.now() > deadline) throw new Error(`waited in vain for ${step.method}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return matching().slice(0, step.count ?? 1);
  },
};

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

async function run(step) {
  const progress = [];
  // A last report that arrives together with the answer is lost inside the library, or not: it is left out.
  const onprogress = (p) => p.progress < p.total && progress.push(p);
  const options = step.progress ? { onprogress, timeout: 60_000 } : { timeout: 60_000 };
  const said = { step };
  try {
    said.result = await does[step.do](step, options);
  } catch (error) {
    if (!does[step.do]) throw new Error(`unknown step ${step.do}`);
    said.error = { code: error.code ?? null, message: error.message };
  }
  if (step.progress) said.progress = progress;
  return said;
}

await client.connect(transport);
const report = {
  server: {
    version: client.getNegotiatedProtocolVersion(),
    info: client.getServerVersion(),
    capabilities: client.getServerCapabilities(),
    instructions: client.getInstructions() ?? null,
  },
  steps: [],
};
for (const step of steps) report.steps.push(await run(step));
if (transport.sessionId) await transport.terminateSession();
await client.close();
process.stdout.write(JSON.stringify(sorted(report), null, 1) + "\n");
