"""Engines that are not there, told in one line."""

import shutil
import sys

import pytest

from emotion_musicvae.batch import engines
from emotion_musicvae.support.errors import UserError

# A port that nobody listens to.
NOBODY = '127.0.0.1:9'


def _refusal(engine, *arguments):
  with pytest.raises(UserError) as refused, engine(*arguments):
    pass
  return str(refused.value)


def _needs_pyspark():
  pytest.importorskip(
    'pyspark',
    reason='pyspark is not installed: 434 MB, of the extra [spark] alone',
  )


@pytest.mark.parametrize('engine', ['dask', 'spark'])
def test_a_cluster_that_does_not_answer(monkeypatch, engine):
  if engine == 'spark':
    _needs_pyspark()
  monkeypatch.setattr(engines, '_TIMEOUT', 0.5)
  scheme = {'dask': 'tcp', 'spark': 'spark'}[engine]
  said = _refusal(getattr(engines, engine), f'{scheme}://{NOBODY}', 2)
  assert said.startswith('cluster: ')
  assert f"{NOBODY}' does not answer" in said


def test_an_endpoint_of_beams_that_does_not_answer(monkeypatch):
  monkeypatch.setattr(engines, '_TIMEOUT', 0.5)
  options = ['--runner=PortableRunner', f'--job_endpoint={NOBODY}']
  said = _refusal(engines.beam, options)
  assert said.startswith(f"pipeline_options: '{NOBODY}' does not answer")


def test_an_address_that_is_none():
  assert 'missing port' in _refusal(engines.dask, 'host', 2)


def test_an_address_of_spark_that_is_none():
  _needs_pyspark()
  assert 'does not answer' in _refusal(engines.spark, 'spark://a:b', 2)


def test_an_engine_that_is_not_installed(monkeypatch):
  for engine, module in (
    (engines.dask, 'distributed'),
    (engines.spark, 'pyspark'),
  ):
    monkeypatch.setitem(sys.modules, module, None)
    said = _refusal(engine, None, 2)
    assert said.startswith(f'runner: {module} is not installed; type: pip')


def test_spark_without_java(monkeypatch):
  _needs_pyspark()
  monkeypatch.setenv('JAVA_HOME', '/nowhere')
  monkeypatch.setenv('PATH', '/nowhere')
  assert not shutil.which('java')
  said = _refusal(engines.spark, None, 2)
  assert said.startswith('runner: Spark did not start')
  assert 'Java 17' in said
  assert '\n' not in said


def test_a_runner_whose_download_is_missing(monkeypatch):
  """What Beam would fetch as it begins; it is not told at what length."""

  def run(*_):
    raise RuntimeError('Unable to fetch it\nfrom anywhere')

  monkeypatch.setattr(
    'apache_beam.runners.portability.flink_runner.FlinkRunner.run_pipeline', run
  )
  with (
    engines.beam(['--runner=FlinkRunner']) as engine,
    pytest.raises(UserError) as refused,
  ):
    engine(print, iter([(0, 1)]))
  assert str(refused.value).startswith(
    'pipeline_options: FlinkRunner cannot begin (Unable to fetch it); '
  )
