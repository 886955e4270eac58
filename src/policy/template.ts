/**
 * Text of a policy with variables: `${aws:username}`. What is substituted is text and nothing else: a `*` in it
 * matches a star, so that nobody widens a policy by their name.
 */
import { findConditionKey, valuesOf, type ConditionKey } from './condition-keys.js';
import { anyOne, codePoints, matchSegments, type Segment } from './glob.js';
import type { ConditionValues } from './policy.js';

type Part =
  | { readonly kind: 'text'; readonly text: string }
  /** `otherwise`, when the key is absent or empty: its default, else the variable as the document spells it. */
  | { readonly kind: 'variable'; readonly key: ConditionKey; readonly otherwise: string }
  | { readonly kind: 'star' }
  | { readonly kind: 'one' };

/** `${name}`, `${name, 'default'}`, and `${*}`, `${?}`, `${$}` for the characters themselves. */
const variable = /\$\{(?:([*?$])|([^{}$,']+)(?:,\s*'([^'{}]*)'\s*)?)\}/g;

function pushText(parts: Part[], text: string, isGlob: boolean): void {
  if (!isGlob) {
    if (text !== '') parts.push({ kind: 'text', text });
    return;
  }
  for (const piece of text.split(/([*?])/)) {
    if (piece === '*') parts.push({ kind: 'star' });
    else if (piece === '?') parts.push({ kind: 'one' });
    else if (piece !== '') parts.push({ kind: 'text', text: piece });
  }
}

function partsOf(text: string, isGlob: boolean): Part[] {
  const parts: Part[] = [];
  let from = 0;
  for (const found of text.matchAll(variable)) {
    const [whole, sign, name, fallback] = found;
    pushText(parts, text.slice(from, found.index), isGlob);
    from = found.index + whole.length;
    const key = name === undefined ? null : findConditionKey(name.trimEnd());
    if (sign !== undefined) parts.push({ kind: 'text', text: sign });
    // A variable that nothing defines stays as it is, as text.
    else if (key === null) parts.push({ kind: 'text', text: whole });
    else parts.push({ kind: 'variable', key, otherwise: fallback ?? whole });
  }
  pushText(parts, text.slice(from), isGlob);
  return parts;
}

function substitute(part: Part & { kind: 'variable' }, values: ConditionValues): string {
  const value = valuesOf(part.key, values)?.[0];
  return value === undefined || value === '' ? part.otherwise : value;
}

/** The pieces between two stars. */
function segmentsOf(parts: readonly Part[], values: ConditionValues | null): Segment[] {
  const segments: Segment[] = [];
  let pieces: (string | null)[] = [];
  const close = (): void => {
    segments.push(
      pieces.includes(null)
        ? Int32Array.from(pieces.flatMap((piece) => (piece === null ? [anyOne] : [...codePoints(piece)])))
        : pieces.join(''),
    );
    pieces = [];
  };
  for (const part of parts) {
    if (part.kind === 'star') close();
    else if (part.kind === 'one') pieces.push(null);
    else if (part.kind === 'text') pieces.push(part.text);
    else pieces.push(values === null ? part.otherwise : substitute(part, values));
  }
  close();
  return segments;
}

/** A pattern with stars and marks. Immutable. */
export interface Pattern {
  readonly hasVariables: boolean;
  matches(text: string, values: ConditionValues): boolean;
  /** With variables as they are spelled: for questions about the document itself. */
  readonly literalSegments: readonly Segment[];
}

export function compilePattern(text: string): Pattern {
  const parts = partsOf(text, true);
  const literalSegments = segmentsOf(parts, null);
  if (parts.some((part) => part.kind === 'variable')) {
    return {
      hasVariables: true,
      matches: (subject, values) => matchSegments(segmentsOf(parts, values), subject),
      literalSegments,
    };
  }
  return { hasVariables: false, matches: matcherOf(literalSegments), literalSegments };
}

/** The frequent shapes without a loop. */
function matcherOf(segments: readonly Segment[]): (text: string) => boolean {
  const [first, second] = segments;
  if (segments.length === 1 && typeof first === 'string') return (text) => text === first;
  if (segments.length === 2 && typeof first === 'string' && second === '') {
    return first === '' ? () => true : (text) => text.startsWith(first);
  }
  return (text) => matchSegments(segments, text);
}

/** Text that is compared as a whole. Immutable. */
export interface Template {
  readonly hasVariables: boolean;
  resolve(values: ConditionValues): string;
}

export function compileTemplate(text: string): Template {
  const parts = partsOf(text, false);
  const hasVariables = parts.some((part) => part.kind === 'variable');
  const resolve = (values: ConditionValues | null): string =>
    parts
      .map((part) => {
        if (part.kind === 'text') return part.text;
        if (part.kind !== 'variable') return '';
        return values === null ? part.otherwise : substitute(part, values);
      })
      .join('');
  if (hasVariables) return { hasVariables, resolve };
  const plain = resolve(null);
  return { hasVariables, resolve: () => plain };
}
