"""Networks that torchvision names: ResNets of pictures and what was trained into them, R(2+1)D and S3D of Kinetics."""
