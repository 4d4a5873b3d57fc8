// fhirclient (npm, SMART on FHIR): node with_fhirclient_js.cjs BASE TOKEN
const assert = require('node:assert/strict');
const smart = require('fhirclient');

const [serverUrl, accessToken] = process.argv.slice(2);
const request = { headers: {}, url: '/', protocol: 'http' }; // what a server that opens a client stands in
const client = smart(request, {}).client({ serverUrl, tokenResponse: { access_token: accessToken } });
const family = '钱';

async function main() {
  // Not getFhirVersion: it asks for /metadata without the token that it has.
  const patient = await client.create({ resourceType: 'Patient', name: [{ family }] });
  assert.equal(patient.name[0].family, family);
  const path = `Patient/${patient.id}`;
  const updated = await client.update({ ...patient, gender: 'male' });
  assert.equal(updated.meta.versionId, '2');
  const patched = await client.patch(path, [{ op: 'replace', path: '/gender', value: 'female' }]);
  assert.equal(patched.gender, 'female');
  assert.equal((await client.request(path)).meta.versionId, '3');

  const about = (code) => ({
    resourceType: 'Observation',
    status: 'final',
    code: { coding: [{ system: 'http://loinc.org', code }] },
    subject: { reference: path },
  });
  for (const code of ['718-7', '6690-2', '718-7']) await client.create(about(code));
  const query = `Observation?subject=${path}&_count=1`;
  const all = await client.request(query, { pageLimit: 0, flat: true });
  assert.equal(all.length, 3); // page after page
  const byCode = client.byCode(all, 'code');
  assert.equal(byCode['718-7'].length, 2);
  const whole = await client.request(query, { resolveReferences: 'subject' });
  assert.equal(whole.entry[0].resource.subject.name[0].family, family);
  const graph = await client.request(`Observation/${all[0].id}`, { resolveReferences: ['subject'], graph: false, flat: true });
  assert.equal(graph.references[path].id, patient.id);
  const found = await client.request(`Patient?family=${encodeURIComponent(family)}`);
  assert.equal(found.entry.length, 1);
  const everything = await client.request(`${path}/$everything`);
  assert.equal(everything.entry.length, 4);
  const bundle = { resourceType: 'Bundle', type: 'batch', entry: [{ request: { method: 'GET', url: path } }] };
  const answered = await client.request({
    url: '', method: 'POST', body: JSON.stringify(bundle), headers: { 'content-type': 'application/json' },
  });
  assert.equal(answered.entry[0].resource.id, patient.id);

  for (const each of all) await client.delete(`Observation/${each.id}`);
  await client.delete(path);
  await assert.rejects(client.request(path), (error) => error.status === 410);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
