/**
 * The shape of a request document: which elements are read, how often and how long. Anything else is skipped.
 * Names are local names: clients differ in whether they send the namespace.
 */
export interface TextField {
  readonly kind: 'text';
  readonly required: boolean;
  readonly charsMax: number;
}

/** An element that may repeat, holding further elements. */
export interface ListField<F extends Fields = Fields> {
  readonly kind: 'list';
  readonly fields: F;
  readonly countMax: number;
}

export type Field = TextField | ListField;

export interface Fields {
  readonly [name: string]: Field;
}

export interface DocumentSchema<F extends Fields> {
  readonly root: string;
  readonly fields: F;
  /** Elements of every kind, the skipped ones included. */
  readonly elementsMax: number;
}

export type Parsed<F extends Fields> = {
  readonly [N in keyof F]: F[N] extends ListField<infer G>
    ? readonly Parsed<G>[]
    : F[N] extends { readonly required: true }
      ? string
      : string | null;
};

export function requiredText(charsMax: number): TextField & { readonly required: true } {
  return { kind: 'text', required: true, charsMax };
}

export function optionalText(charsMax: number): TextField & { readonly required: false } {
  return { kind: 'text', required: false, charsMax };
}

export function list<const F extends Fields>(fields: F, countMax: number): ListField<F> {
  return { kind: 'list', fields, countMax };
}

export function documentSchema<const F extends Fields>(schema: DocumentSchema<F>): DocumentSchema<F> {
  return schema;
}
