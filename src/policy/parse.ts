/** Reads a policy document: every rule about what may stand in one is here and in `parse-statement.ts`. */
import { CompiledPolicy } from './compiled-policy.js';
import { parseJson, stringify, type JsonDocument, type JsonNode } from './json-document.js';
import { policyBytesMax, policyStatementsMax } from './limits.js';
import { checkFields, parseStatement } from './parse-statement.js';
import { PolicyRefusal, quote } from './policy-refusal.js';
import type { Policy, PolicyKind } from './policy.js';
import type { Statement } from './statement.js';

const version = '2012-10-17';

export interface ParseOptions {
  /** Of a bucket policy: the bucket it is put on, which every resource must match. */
  readonly bucket?: string;
  /** The document must say its Version, as S3 asks of a bucket policy that is put. */
  readonly isVersionRequired?: boolean;
}

function checkVersion(document: JsonDocument, root: JsonNode & { type: 'object' }, isRequired: boolean): void {
  const node = root.fields.get('Version');
  if (node === undefined || node.type === 'null' || (node.type === 'string' && node.value === '')) {
    if (isRequired) throw document.fault(node ?? root, `Version must be "${version}"`);
    return;
  }
  if (node.type !== 'string' || node.value !== version) {
    throw document.fault(
      node,
      `Version must be "${version}"${node.type === 'string' ? `, not ${quote(node.value)}` : ''}`,
    );
  }
}

function statementNodes(document: JsonDocument, root: JsonNode & { type: 'object' }): readonly JsonNode[] {
  const node = root.fields.get('Statement');
  if (node === undefined || node.type === 'null') return [];
  if (node.type === 'object') return [node];
  if (node.type !== 'array') throw document.fault(node, 'must be a list of statements');
  if (node.items.length > policyStatementsMax) {
    throw document.fault(node, `holds ${node.items.length} statements; ${policyStatementsMax} are allowed`);
  }
  return node.items;
}

/** Equal when two statements decide alike, whatever they are called. */
function meaningOf({ parts }: Statement): string {
  return JSON.stringify([
    parts.isDeny,
    parts.actions.isNegated,
    [...parts.actions.texts].sort(),
    parts.resources === null
      ? null
      : [parts.resources.isNegated, parts.resources.patterns.map(({ text }) => text).sort()],
    parts.principals === null ? null : [...parts.principals.texts].sort(),
    parts.conditions
      .map(({ operator, key, values }) => JSON.stringify([operator, key.name, [...values].sort()]))
      .sort(),
  ]);
}

/** The document again, compact, with these statements. */
function compactText(root: JsonNode & { type: 'object' }, statements: readonly JsonNode[]): string {
  const fields = [...root.fields].filter(([name]) => name !== 'Statement');
  const texts = fields.map(([name, node]) => `${JSON.stringify(name)}:${stringify(node)}`);
  return `{${[...texts, `"Statement":[${statements.map(stringify).join(',')}]`].join(',')}}`;
}

/**
 * Throws PolicyRefusal, which names the place. A session policy with statements must have its Version; without any
 * it is empty.
 */
export function parsePolicy(text: string, kind: PolicyKind, options: ParseOptions = {}): Policy {
  if (Buffer.byteLength(text) > policyBytesMax) {
    throw new PolicyRefusal('', { line: 1, column: 1 }, `a policy has at most ${policyBytesMax} bytes`);
  }
  const document = parseJson(text);
  const { root } = document;
  if (root.type !== 'object') throw document.fault(root, 'a policy is a JSON object');
  checkFields(document, root, ['Version', 'Id', 'ID', 'Statement']);
  for (const name of ['Id', 'ID']) {
    const id = root.fields.get(name);
    if (id !== undefined && id.type !== 'string') throw document.fault(id, 'must be text');
  }
  const nodes = statementNodes(document, root);
  checkVersion(document, root, options.isVersionRequired === true || (kind === 'session' && nodes.length > 0));
  const seen = new Set<string>();
  const statements: Statement[] = [];
  const kept: JsonNode[] = [];
  for (const node of nodes) {
    const statement = parseStatement(document, node, { kind, bucket: options.bucket, index: statements.length });
    const meaning = meaningOf(statement);
    if (seen.has(meaning)) continue;
    seen.add(meaning);
    statements.push(statement);
    kept.push(node);
  }
  return new CompiledPolicy(kind, compactText(root, kept), statements);
}
