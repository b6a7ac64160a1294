// Prints what the published schema of the tasks extension says about who may send what, and what may stand in it.
//
// Reads the schemas of the package `@modelcontextprotocol/ext-tasks`; its folder is the argument. Knows no method and
// no member by name, except how the package calls its exports.

import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const schemas = await import(pathToFileURL(join(process.argv[2], 'dist/core/v2/schemas.js')));
const named = (suffix) =>
  Object.entries(schemas)
    .filter(([name]) => name.endsWith(suffix))
    .map(([name, schema]) => [name.slice(0, -suffix.length), schema]);

const shape = (schema) => schema._zod.def.shape ?? {};
const literal = (schema) => schema?._zod.def.values?.[0];

// What stands for something by itself; found by identity.
const known = new Map([
  [schemas.InputRequestV2Schema, 'request'],
  [schemas.InputResponseV2Schema, 'answer'],
  [schemas.ErrorV2Schema, 'error'],
]);

/** The ways to every place in which something known stands, each with the literals beside it: `*` for any key. */
function* find(schema, path = [], when = {}) {
  if (known.has(schema)) {
    yield { path, when, holds: known.get(schema) };
    return;
  }
  const def = schema._zod.def;
  switch (def.type) {
    case 'object': {
      const beside = { ...when };
      for (const [name, member] of Object.entries(def.shape)) {
        if (member._zod.def.type === 'literal') beside[name] = literal(member);
      }
      for (const [name, member] of Object.entries(def.shape)) yield* find(member, [...path, name], beside);
      return;
    }
    case 'record':
      return yield* find(def.valueType, [...path, '*'], when);
    case 'array':
      return yield* find(def.element, [...path, '*'], when);
    case 'union':
      for (const option of def.options) yield* find(option, path, when);
      return;
    case 'intersection':
      yield* find(def.left, path, when);
      return yield* find(def.right, path, when);
    case 'optional':
    case 'nullable':
      return yield* find(def.innerType, path, when);
  }
}

/** The members that only some statuses of a task have: what they hold may be anything. */
function details() {
  const options = schemas.DetailedTaskV2Schema._zod.def.options;
  const count = (name) => options.filter((option) => name in shape(option)).length;
  return options.flatMap((option) =>
    Object.keys(shape(option))
      .filter((name) => count(name) < options.length)
      .map((name) => [literal(shape(option).status), name]),
  );
}

const requests = named('RequestV2Schema').filter(([, schema]) => 'id' in shape(schema));
const method = (name) => literal(shape(requests.find(([other]) => other === name)?.[1] ?? schemas.TaskV2Schema).method);
const creates = literal(schemas.TaskEligibleMethodV2Schema);

const places = [];
for (const [name, schema] of named('ResultV2Schema')) {
  const of = name === 'CreateTask' ? creates : method(name);
  if (!of) continue;
  for (const { path, when, holds } of find(schema)) places.push(['result', of, path, holds, when.status ?? null]);
}
const notifications = named('NotificationV2Schema');
for (const [, schema] of notifications) {
  const { params, method } = shape(schema);
  for (const { path, when, holds } of find(params)) {
    places.push(['notification', literal(method), path, holds, when.status ?? null]);
  }
}
const answers = requests.flatMap(([, schema]) =>
  [...find(shape(schema).params)]
    .filter(({ holds }) => holds === 'answer')
    .map(({ path }) => [literal(shape(schema).method), path.filter((part) => part !== '*')]),
);
const form = (schema) => {
  const def = schema._zod.def;
  if (def.type === 'optional') return form(def.innerType);
  return def.type === 'array' ? `list of ${form(def.element)}` : def.type;
};
const subscribes = Object.entries(shape(schemas.TaskSubscriptionNotificationsV2Schema)).map(([name, member]) => [
  name,
  form(member),
]);

console.log(
  JSON.stringify(
    {
      requests: requests.map(([, schema]) => literal(shape(schema).method)).sort(),
      notifications: notifications.map(([, schema]) => literal(shape(schema).method)),
      creates,
      resultType: literal(shape(schemas.CreateTaskResultV2Schema).resultType),
      details: details(),
      places,
      answers,
      subscribes,
    },
    null,
    1,
  ),
);
