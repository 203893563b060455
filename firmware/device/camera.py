# MicroPython for an OpenMV or Arduino camera: a grey picture of 224 x 224 pixels, as often as somebody reads one.
# remedis-device gives it to the camera (setting openmv.script); it also runs by itself as the camera's main.py.
import csi

camera = csi.CSI()
camera.reset()
camera.pixformat(csi.GRAYSCALE)
camera.framesize(csi.QVGA)
camera.window((224, 224))
camera.snapshot(time=2000)  # lets exposure and gain settle

while True:
    camera.snapshot()
