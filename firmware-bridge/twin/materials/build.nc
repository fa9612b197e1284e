; A build as the recorded one is made, with a reload: lengths in mm.
M62 S1
M40 S3
M75 S300
M76 S450
M60
M24 S241      ; press the bar on
M06 S200
M41 S465      ; spindle by tool temperature
M43 S447      ; wait for it
G1 F500 L1.5  ; first layers: slow
M24 S305
G1 F500 L0.5
M41 S475
M24 S381
G1 F800 L5
M25           ; bar used up: reload
G4 P40
M24 S241
G4 P12
M24 S508
G1 F1000 L5
M25
M41 S0
M05
G0 Z240
G4 P60
M61
M30
