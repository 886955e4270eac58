/** Reads one statement. */
import { expandAction, familyOfPattern, type ActionFamily, type ActionInfo } from './actions.js';
import { familyOf, findConditionKey, isCommonKey, type ConditionKey } from './condition-keys.js';
import { compileCondition, findOperator, type Condition } from './conditions.js';
import { matchesSomeContinuation, matchSegments } from './glob.js';
import type { JsonDocument, JsonNode } from './json-document.js';
import { policyListMax, policyStringCharsMax } from './limits.js';
import { quote } from './policy-refusal.js';
import type { PolicyKind } from './policy.js';
import { Statement, type ResourcePattern, type StatementParts } from './statement.js';
import { compilePattern } from './template.js';

type ObjectNode = JsonNode & { readonly type: 'object' };

export interface StatementContext {
  readonly kind: PolicyKind;
  readonly bucket: string | undefined;
  readonly index: number;
}

const statementFields = [
  'Sid',
  'Effect',
  'Principal',
  'Action',
  'NotAction',
  'Resource',
  'NotResource',
  'Condition',
] as const;

/** Names count in this spelling only: readers that fold case would see another policy than those that do not. */
export function checkFields(document: JsonDocument, node: ObjectNode, allowed: readonly string[]): void {
  for (const [name, value] of node.fields) {
    if (allowed.includes(name)) continue;
    const meant = allowed.find((one) => one.toLowerCase() === name.toLowerCase());
    throw document.fault(
      value,
      `unknown field ${quote(name)}${meant === undefined ? '' : `; did you mean "${meant}"?`}`,
    );
  }
}

interface Listed {
  readonly node: JsonNode;
  readonly text: string;
}

/** One text or a list of them, without repetition. */
function texts(document: JsonDocument, node: JsonNode, what: string): Listed[] {
  const items = node.type === 'array' ? node.items : [node];
  if (items.length === 0) throw document.fault(node, `must name at least one ${what}`);
  if (items.length > policyListMax) throw document.fault(node, `a list has at most ${policyListMax} entries`);
  const found = new Map<string, Listed>();
  for (const item of items) {
    if (item.type !== 'string') throw document.fault(item, `a ${what} must be text`);
    if (item.value.length > policyStringCharsMax) {
      throw document.fault(item, `a ${what} has at most ${policyStringCharsMax} characters`);
    }
    if (!found.has(item.value)) found.set(item.value, { node: item, text: item.value });
  }
  return [...found.values()];
}

/** Exactly one of a field and its negation. */
function eitherField(
  document: JsonDocument,
  node: ObjectNode,
  name: 'Action' | 'Resource',
): { node: JsonNode; isNegated: boolean } | null {
  const plain = node.fields.get(name);
  const negated = node.fields.get(`Not${name}`);
  if (plain !== undefined && negated !== undefined) {
    throw document.fault(negated, `${name} and Not${name} exclude each other`);
  }
  if (plain !== undefined) return { node: plain, isNegated: false };
  return negated === undefined ? null : { node: negated, isNegated: true };
}

interface Actions {
  readonly isNegated: boolean;
  readonly listed: readonly (Listed & { readonly infos: readonly ActionInfo[] })[];
  readonly family: ActionFamily | 'any';
}

function parseActions(document: JsonDocument, node: ObjectNode, kind: PolicyKind): Actions {
  const field = eitherField(document, node, 'Action');
  if (field === null) throw document.fault(node, 'a statement has an Action or a NotAction');
  let family: ActionFamily | 'any' | null = null;
  const listed = texts(document, field.node, 'action').map((one) => {
    const own = familyOfPattern(one.text);
    const infos = expandAction(one.text);
    if (own === null || infos.length === 0) throw document.fault(one.node, `unknown action ${quote(one.text)}`);
    if (family !== null && family !== own) {
      throw document.fault(one.node, `a statement has actions of one family: ${quote(one.text)} is not of "${family}"`);
    }
    family = own;
    if (kind === 'bucket' && own !== 's3' && own !== 'any') {
      throw document.fault(one.node, `a bucket policy is about s3 actions, not ${quote(one.text)}`);
    }
    return { ...one, infos };
  });
  return { isNegated: field.isNegated, listed, family: family ?? 'any' };
}

const s3Prefix = 'arn:aws:s3:::';
const kmsPrefix = 'arn:minio:kms:::';

function parseResource(document: JsonDocument, { node, text }: Listed): ResourcePattern {
  const isKms = text.startsWith(kmsPrefix);
  if (text !== '*' && !isKms && !text.startsWith(s3Prefix)) {
    throw document.fault(node, `a resource is "*" or begins with "${s3Prefix}", not ${quote(text)}`);
  }
  const own = text === '*' ? text : text.slice((isKms ? kmsPrefix : s3Prefix).length);
  if (isKms ? /[/\\.]/.test(own) : own.startsWith('/')) {
    throw document.fault(
      node,
      isKms ? `a key has no "/", "\\" or "." in its name` : 'a bucket does not begin with "/"',
    );
  }
  const service = text === '*' ? 'any' : isKms ? 'kms' : 's3';
  return { service, text, pattern: compilePattern(own), isEmpty: own === '' };
}

/** Whether the resource reaches into this bucket at all. */
function reaches({ pattern: { literalSegments } }: ResourcePattern, bucket: string): boolean {
  return matchSegments(literalSegments, bucket) || matchesSomeContinuation(literalSegments, `${bucket}/`);
}

/** By its shape; `bucket` when it is known. Identity policies reach a bucket through `bucket/*` as well. */
function canName(one: ResourcePattern, scope: 'bucket' | 'object', { kind, bucket }: StatementContext): boolean {
  if (scope === 'object') return /[/*]/.test(one.text.slice(one.text === '*' ? 0 : s3Prefix.length));
  if (kind !== 'bucket') return true;
  if (bucket !== undefined) return matchSegments(one.pattern.literalSegments, bucket);
  return !one.text.includes('/');
}

function checkScopes(
  document: JsonDocument,
  actions: Actions,
  resources: readonly ResourcePattern[],
  context: StatementContext,
): void {
  for (const { node, text, infos } of actions.listed) {
    const fits = infos.some(({ family, scope }) => {
      if (family !== 's3') return true;
      return resources.some((one) => canName(one, scope === 'object' ? 'object' : 'bucket', context));
    });
    if (fits) continue;
    const what = infos.every(({ scope }) => scope === 'object') ? 'an object' : 'a bucket';
    throw document.fault(node, `${quote(text)} acts on ${what}, which no resource of the statement can name`);
  }
}

function parseResources(
  document: JsonDocument,
  node: ObjectNode,
  actions: Actions,
  context: StatementContext,
): StatementParts['resources'] {
  const field = eitherField(document, node, 'Resource');
  if (field === null) {
    if (actions.family !== 's3' && actions.family !== 'any') return null;
    throw document.fault(node, 'a statement about s3 actions has a Resource or a NotResource');
  }
  const patterns = texts(document, field.node, 'resource').map((one) => {
    const resource = parseResource(document, one);
    const isOther = actions.family === 's3' ? 'kms' : actions.family === 'kms' ? 's3' : null;
    if (resource.service === isOther) {
      throw document.fault(one.node, `${quote(one.text)} is no resource of ${actions.family} actions`);
    }
    if (context.kind === 'bucket') {
      if (resource.service === 'kms') throw document.fault(one.node, 'a bucket policy is about its bucket');
      if (context.bucket !== undefined && !reaches(resource, context.bucket)) {
        throw document.fault(one.node, `${quote(one.text)} does not match the bucket ${quote(context.bucket)}`);
      }
    }
    return resource;
  });
  if (!field.isNegated && !actions.isNegated) checkScopes(document, actions, patterns, context);
  return { isNegated: field.isNegated, patterns };
}

/** An account's name or a pattern of names, also in the form of an AWS user's ARN. */
function principalName(document: JsonDocument, { node, text }: Listed): string {
  if (text === '') throw document.fault(node, 'a principal must not be empty');
  if (!text.startsWith('arn:')) return text;
  const user = /^arn:aws:iam::\d*:user\/(.+)$/s.exec(text)?.[1];
  if (user === undefined) {
    throw document.fault(
      node,
      `a principal is "*", an account's name or "arn:aws:iam:::user/NAME", not ${quote(text)}`,
    );
  }
  return user;
}

function parsePrincipals(document: JsonDocument, node: ObjectNode, kind: PolicyKind): StatementParts['principals'] {
  const field = node.fields.get('Principal');
  if (kind !== 'bucket') {
    if (field === undefined) return null;
    throw document.fault(field, 'only bucket policies have a Principal');
  }
  if (field === undefined) throw document.fault(node, 'a statement of a bucket policy has a Principal');
  let list: JsonNode | undefined;
  if (field.type === 'object') {
    checkFields(document, field, ['AWS']);
    list = field.fields.get('AWS');
  } else if (field.type === 'string' && field.value === '*') list = field;
  if (list === undefined) throw document.fault(field, 'a Principal is "*" or {"AWS": …}');
  const names = texts(document, list, 'principal').map((one) => principalName(document, one));
  return { texts: names, patterns: names.map(compilePattern) };
}

/** Alternatives in their JSON spelling. */
function conditionValues(document: JsonDocument, node: JsonNode): Listed[] {
  const items = node.type === 'array' ? node.items : [node];
  if (items.length === 0) throw document.fault(node, 'must have at least one value');
  if (items.length > policyListMax) throw document.fault(node, `a list has at most ${policyListMax} entries`);
  return items.map((item) => {
    if (item.type !== 'string' && item.type !== 'number' && item.type !== 'boolean') {
      throw document.fault(item, 'a value must be text, a number, true or false');
    }
    const text = String(item.value);
    if (text.length > policyStringCharsMax) {
      throw document.fault(item, `a value has at most ${policyStringCharsMax} characters`);
    }
    return { node: item, text };
  });
}

function checkKey(document: JsonDocument, node: JsonNode, key: ConditionKey, actions: Actions): void {
  // Everything but some actions is no list to check against.
  if (actions.isNegated || isCommonKey(key)) return;
  const family = familyOf(key);
  for (const { text, infos } of actions.listed) {
    if (infos.some(({ conditionKeys }) => conditionKeys.some((one) => one.toLowerCase() === family))) continue;
    throw document.fault(node, `the action ${quote(text)} has no condition key "${key.title}"`);
  }
}

function parseConditions(document: JsonDocument, node: ObjectNode, actions: Actions): Condition[] {
  const field = node.fields.get('Condition');
  if (field === undefined || field.type === 'null') return [];
  if (field.type !== 'object') throw document.fault(field, 'must be an object of operators');
  const conditions: Condition[] = [];
  for (const [operatorName, keys] of field.fields) {
    const operator = findOperator(operatorName);
    if (operator === null) throw document.fault(keys, `unknown operator ${quote(operatorName)}`);
    if (keys.type !== 'object') throw document.fault(keys, 'must be an object of condition keys');
    if (keys.fields.size === 0) throw document.fault(keys, 'must name at least one condition key');
    const seen = new Set<string>();
    for (const [keyName, valueNode] of keys.fields) {
      const key = findConditionKey(keyName);
      if (key === null) throw document.fault(valueNode, `unknown condition key ${quote(keyName)}`);
      if (seen.has(key.name)) throw document.fault(valueNode, `the condition key "${key.title}" appears twice`);
      seen.add(key.name);
      checkKey(document, valueNode, key, actions);
      const values = conditionValues(document, valueNode);
      const compiled = compileCondition(operator, key, [...new Set(values.map(({ text }) => text))]);
      if (!('what' in compiled)) conditions.push(compiled);
      else throw document.fault(values[compiled.index]?.node ?? valueNode, compiled.what);
    }
  }
  return conditions;
}

export function parseStatement(document: JsonDocument, node: JsonNode, context: StatementContext): Statement {
  if (node.type !== 'object') throw document.fault(node, 'a statement is an object');
  checkFields(document, node, statementFields);
  const sid = node.fields.get('Sid');
  if (sid !== undefined && sid.type !== 'string') throw document.fault(sid, 'must be text');
  const effect = node.fields.get('Effect');
  if (effect === undefined) throw document.fault(node, 'a statement has an Effect');
  if (effect.type !== 'string' || (effect.value !== 'Allow' && effect.value !== 'Deny')) {
    throw document.fault(effect, 'must be "Allow" or "Deny"');
  }
  const principals = parsePrincipals(document, node, context.kind);
  const actions = parseActions(document, node, context.kind);
  const resources = parseResources(document, node, actions, context);
  return new Statement({
    index: context.index,
    sid: sid?.value ?? '',
    isDeny: effect.value === 'Deny',
    family: actions.family,
    actions: {
      isNegated: actions.isNegated,
      texts: actions.listed.map(({ text }) => text),
      patterns: actions.listed.map(({ text }) => compilePattern(text)),
    },
    resources,
    principals,
    conditions: parseConditions(document, node, actions),
    isBucketPolicy: context.kind === 'bucket',
  });
}
