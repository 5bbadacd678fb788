#!/usr/bin/env python3
"""What real tunes measure of each further term.

python benchmarks/terms.py

Over the 2,048 windows of 16 bars that the package carries. How well melodies
meet targets is measured by emotion_musicvae_evaluate --terms=all.
"""

from emotion_musicvae.evaluation import targets

print('| term | unit | 5 % | 25 % | median | 75 % | 95 % |')
print('| --- | --- |' + ' ---: |' * 5)
found = targets.of_tunes()
for name, row in found.items():
  if 'percentiles' in row:
    cells = ' | '.join(f'{x:.2f}' for x in row['percentiles'])
    print(f'| {name} | {row["unit"]} | {cells} |')
for name, row in found.items():
  if 'shares' in row:
    told = ', '.join(
      f'{k} {v:.0%}' for k, v in row['shares'].items() if v > 0.01
    )
    print(f'\n{name}: {told}')
