import { describe, expect, test } from 'vitest';
import { counter, exposition, gauge, labelled } from '../../../src/admin/metrics/exposition.js';
import { findGroups } from '../../../src/admin/metrics/v3.js';
import { parsePrometheus } from '../../support/prometheus.js';

describe('the text of metrics', () => {
  test('reads back as it was meant, whatever a label holds', () => {
    const path = 'C:\\data "x"\nnext{,}';
    const text = exposition([
      gauge('free_bytes', 'Free, in\nbytes \\o/', [{ value: 1.5e21, labels: { drive: path, api: '' } }]),
      counter('calls_total', 'Calls', 3),
    ]);
    expect(parsePrometheus(text)).toEqual([
      { name: 'free_bytes', labels: { drive: path, api: '' }, value: 1.5e21 },
      { name: 'calls_total', labels: {}, value: 3 },
    ]);
    expect(text.split('\n')).toHaveLength(7);
  });

  test('brings together what several groups say of one metric, and leaves out what has no sample', () => {
    const of = (bucket: string, value: number) =>
      labelled([gauge('objects', 'Objects', value), gauge('none', 'None', [])], { bucket });
    const text = exposition([...of('a', 1), ...of('b', 2)]);
    expect(text).toBe('# HELP objects Objects\n# TYPE objects gauge\nobjects{bucket="a"} 1\nobjects{bucket="b"} 2\n');
    expect(exposition([])).toBe('');
  });

  test('a label of the sample itself wins over one for all', () => {
    const [one] = labelled([gauge('x', 'X', [{ value: 1, labels: { type: 'own' } }])], { type: 'all', more: 'm' });
    expect(one?.samples).toEqual([{ value: 1, labels: { type: 'own', more: 'm' } }]);
  });

  test.each([
    '# TYPE x gauge\nx 1\n',
    '# HELP x X\n# TYPE x gauge\nx 1\nx 1\n',
    '# HELP x X\n# TYPE x gauge\ny 1\n',
    '# HELP x X\n# TYPE x gauge\nx{a="1" b="2"} 1\n',
    '# HELP x X\n# TYPE x gauge\nx NaN?\n',
    '# HELP x X\n# TYPE x gauge\nx 1',
  ])('the reader of these tests does not take %j', (text) => {
    expect(() => parsePrometheus(text)).toThrow();
  });
});

describe('groups of version 3', () => {
  test.each([
    ['', 11],
    ['/cluster', 6],
    ['/cluster/usage', 2],
    ['/cluster/usage/objects', 1],
    ['/system', 4],
    ['/bucket/api/mine', 1],
  ])('%s has %d', (path, count) => {
    expect(findGroups(path)?.groups).toHaveLength(count);
  });

  test.each([
    '/clus',
    '/bucket',
    '/bucket/api',
    '/bucket/api/',
    '/bucket/api/a/b',
    '/replication',
    '/cluster/health/x',
  ])('%s has none', (path) => {
    expect(findGroups(path)).toBeNull();
  });
});
