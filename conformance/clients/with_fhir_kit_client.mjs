// fhir-kit-client (npm): node with_fhir_kit_client.mjs BASE TOKEN
import assert from 'node:assert/strict';
import { Client } from 'fhir-kit-client';

const [baseUrl, bearerToken] = process.argv.slice(2);
const client = new Client({ baseUrl, bearerToken });
const resourceType = 'Patient';
const family = '赵';

assert.equal((await client.capabilityStatement()).fhirVersion, '4.0.1');
const patient = await client.create({ resourceType, body: { resourceType, name: [{ family }] } });
const { id } = patient;
assert.equal((await client.read({ resourceType, id })).name[0].family, family);
const updated = await client.update({ resourceType, id, body: { ...patient, gender: 'male' } });
assert.equal(updated.meta.versionId, '2');
const operations = [{ op: 'replace', path: '/gender', value: 'female' }];
assert.equal((await client.patch({ resourceType, id, jsonPatch: operations })).gender, 'female');
assert.equal((await client.vread({ resourceType, id, version: '1' })).meta.versionId, '1');
assert.equal((await client.search({ resourceType, searchParams: { family } })).entry.length, 1);
const posted = await client.search({ resourceType, searchParams: { family }, options: { postSearch: true } });
assert.equal(posted.entry.length, 1);
assert.equal((await client.systemSearch({ searchParams: { _type: resourceType, _id: id } })).total, 1);
const compartment = { resourceType, id };
assert.equal((await client.compartmentSearch({ resourceType: 'Observation', compartment })).total, 0);
assert.equal((await client.history({ resourceType, id })).total, 3);
assert.ok((await client.history({ resourceType })).entry.length >= 3);
assert.ok((await client.history()).entry.length >= 3);
assert.equal((await client.operation({ name: 'everything', resourceType, id, method: 'get' })).entry.length, 1);
assert.equal((await client.resolve({ reference: `Patient/${id}` })).id, id);
const bundle = (type, request, resource) => ({
  body: { resourceType: 'Bundle', type, entry: [{ request, ...(resource && { resource }) }] },
});
const made = await client.transaction(bundle('transaction', { method: 'POST', url: 'Patient' }, { resourceType }));
assert.equal(made.entry[0].response.status, '201 Created');
const read = await client.batch(bundle('batch', { method: 'GET', url: `/Patient/${id}` }));
assert.equal(read.entry[0].resource.id, id);
const page = await client.search({ resourceType, searchParams: { _count: 1 } });
assert.equal((await client.nextPage({ bundle: page })).entry.length, 1);
await client.delete({ resourceType, id });
await assert.rejects(client.read({ resourceType, id }), (error) => error.response.status === 410);
